"""Certificates and TLS handshakes, on real sockets."""

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trustme

from app.errors import ErrorCode
from app.imaging.fetch import Fetcher
from app.imaging.transport import ConnectionPool
from app.ops.deadline import Deadline, DeadlineExceededError
from app.settings import FetchSettings
from tests.imaging.fake_network import fetch_error, fixed_resolver

ALLOW_LOOPBACK = FetchSettings(allow=("127.0.0.1",), timeout_s=2)
REPLY = b"HTTP/1.1 200 OK\r\n\r\nimage"


class Received:
    """The server names and requests that a server received."""

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.requests: list[bytes] = []


@asynccontextmanager
async def running_server(certificate: trustme.LeafCert, reply: bytes = REPLY) -> AsyncIterator[tuple[int, Received]]:
    received = Received()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: received.names.append(name)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], received


def fetcher_trusting(authority: trustme.CA) -> Fetcher:
    """Return a fetcher that also trusts ``authority``."""
    context = httpx.create_ssl_context(trust_env=False)
    authority.configure_trust(context)
    return Fetcher(ALLOW_LOOPBACK, fixed_resolver("127.0.0.1"), ConnectionPool(context))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("certified_name", "host"),
    [
        ("a.example", "a.example"),
        ("*.example.com", "a.example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("b.example", "B.Example."),
    ],
)
async def test_a_certificate_for_the_host_is_accepted(authority: trustme.CA, certified_name: str, host: str) -> None:
    async with (
        running_server(authority.issue_cert(certified_name)) as (port, received),
        fetcher_trusting(authority) as fetcher,
    ):
        assert await fetcher.fetch(f"https://{host}:{port}/", Deadline.after(5), 100) == b"image"
    assert len(received.requests) == 1


@pytest.mark.parametrize(
    ("certified_name", "host"),
    [
        ("b.example", "a.example"),
        ("a.example.b.example", "a.example"),
        ("*.example.com", "a.b.example.com"),
        ("*.a.example", "a.example"),
        ("127.0.0.1", "a.example"),  # the connected address, but not the host of the URL
        ("a.example", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.1"),
    ],
)
async def test_a_certificate_for_another_name_is_rejected(
    authority: trustme.CA, certified_name: str, host: str
) -> None:
    async with running_server(authority.issue_cert(certified_name)) as (port, received):
        error = await fetch_error(fetcher_trusting(authority), f"https://{host}:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)
    assert received.requests == []


async def test_a_certificate_of_an_unknown_authority_is_rejected(authority: trustme.CA) -> None:
    async with running_server(authority.issue_cert("a.example")) as (port, received):
        error = await fetch_error(Fetcher(ALLOW_LOOPBACK, fixed_resolver("127.0.0.1")), f"https://a.example:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)
    assert received.names == ["a.example"]
    assert received.requests == []


async def test_an_authority_of_the_environment_is_not_trusted(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with authority.cert_pem.tempfile() as file:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        async with running_server(authority.issue_cert("a.example")) as (port, received):
            error = await fetch_error(
                Fetcher(ALLOW_LOOPBACK, fixed_resolver("127.0.0.1")), f"https://a.example:{port}/"
            )
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert received.requests == []


async def test_an_expired_certificate_is_rejected(authority: trustme.CA) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    async with running_server(authority.issue_cert("a.example", not_after=past)) as (port, received):
        error = await fetch_error(fetcher_trusting(authority), f"https://a.example:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert received.requests == []


async def test_a_redirect_to_a_server_with_a_wrong_certificate_fails(authority: trustme.CA) -> None:
    async with running_server(authority.issue_cert("b.example")) as (other_port, received):
        location = f"https://c.example:{other_port}/".encode()
        reply = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n"
        async with running_server(authority.issue_cert("a.example"), reply) as (port, first):
            error = await fetch_error(fetcher_trusting(authority), f"https://a.example:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert len(first.requests) == 1
    assert received.requests == []


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, asyncio.Future[bytes]]]:
    """Run a server that never answers a handshake; the future holds all bytes received until the client disconnects."""
    received = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], received


async def test_a_hanging_handshake_is_closed_at_the_deadline() -> None:
    async with silent_server() as (port, received), Fetcher(ALLOW_LOOPBACK, fixed_resolver("127.0.0.1")) as fetcher:
        started = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            await fetcher.fetch(f"https://a.example:{port}/", Deadline.after(0.3), 100)
        assert time.monotonic() - started < 2
        assert (await asyncio.wait_for(received, 1)).startswith(b"\x16\x03")


async def test_a_cancelled_handshake_is_closed() -> None:
    async with silent_server() as (port, received), Fetcher(ALLOW_LOOPBACK, fixed_resolver("127.0.0.1")) as fetcher:
        fetching = asyncio.create_task(fetcher.fetch(f"https://a.example:{port}/", Deadline.after(5), 100))
        await asyncio.sleep(0.3)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert (await asyncio.wait_for(received, 1)).startswith(b"\x16\x03")
