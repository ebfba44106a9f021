"""Servers whose certificates are wrong, on real sockets."""

from __future__ import annotations

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
from app.imaging.transport import Transport
from app.ops.deadline import Deadline, DeadlineExceededError
from app.settings import FetchSettings
from tests.imaging.hostile import failure, resolving

HOME = FetchSettings(allow=("127.0.0.1",), timeout_s=2)
REPLY = b"HTTP/1.1 200 OK\r\n\r\npicture"


class Heard:
    """What a server learned of its callers: the names they asked for, and their requests."""

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.requests: list[bytes] = []


@asynccontextmanager
async def serving(certificate: trustme.LeafCert, reply: bytes = REPLY) -> AsyncIterator[tuple[int, Heard]]:
    heard = Heard()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: heard.names.append(name)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def trusting(authority: trustme.CA) -> Fetcher:
    """A fetcher for which this authority is the one that the world trusts; all else is as in service."""
    context = httpx.create_ssl_context(trust_env=False)
    authority.configure_trust(context)
    return Fetcher(HOME, resolving("127.0.0.1"), Transport(context))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("a.example", "a.example"),
        ("*.example.com", "a.example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("b.example", "B.Example."),
    ],
)
async def test_a_certificate_of_the_hosts_name_is_accepted(authority: trustme.CA, named: str, host: str) -> None:
    async with serving(authority.issue_cert(named)) as (port, heard), trusting(authority) as fetcher:
        assert await fetcher.fetch(f"https://{host}:{port}/", Deadline.after(5), 100) == b"picture"
    assert len(heard.requests) == 1


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("b.example", "a.example"),
        ("a.example.b.example", "a.example"),
        ("*.example.com", "a.b.example.com"),
        ("*.a.example", "a.example"),
        ("127.0.0.1", "a.example"),  # the address that is dialled, but not what the URL names
        ("a.example", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.1"),
    ],
)
async def test_a_certificate_of_another_name_is_refused(authority: trustme.CA, named: str, host: str) -> None:
    async with serving(authority.issue_cert(named)) as (port, heard):
        error = await failure(trusting(authority), f"https://{host}:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)
    assert heard.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(authority: trustme.CA) -> None:
    async with serving(authority.issue_cert("a.example")) as (port, heard):
        error = await failure(Fetcher(HOME, resolving("127.0.0.1")), f"https://a.example:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)
    assert heard.names == ["a.example"]
    assert heard.requests == []


async def test_an_authority_of_the_environment_is_not_believed(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with authority.cert_pem.tempfile() as file:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        async with serving(authority.issue_cert("a.example")) as (port, heard):
            error = await failure(Fetcher(HOME, resolving("127.0.0.1")), f"https://a.example:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert heard.requests == []


async def test_an_expired_certificate_is_refused(authority: trustme.CA) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    async with serving(authority.issue_cert("a.example", not_after=past)) as (port, heard):
        error = await failure(trusting(authority), f"https://a.example:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert heard.requests == []


async def test_a_redirect_to_a_server_with_another_name_is_not_followed(authority: trustme.CA) -> None:
    async with serving(authority.issue_cert("b.example")) as (other, heard):
        location = f"https://c.example:{other}/".encode()
        reply = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n"
        async with serving(authority.issue_cert("a.example"), reply) as (port, first):
            error = await failure(trusting(authority), f"https://a.example:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert len(first.requests) == 1
    assert heard.requests == []


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, asyncio.Future[bytes]]]:
    """A server that never answers a handshake; the future is what it heard until its caller hung up."""
    heard = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def test_a_server_that_never_finishes_its_handshake_is_given_up_in_time_and_hung_up_on() -> None:
    async with silent() as (port, heard), Fetcher(HOME, resolving("127.0.0.1")) as fetcher:
        started = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            await fetcher.fetch(f"https://a.example:{port}/", Deadline.after(0.3), 100)
        assert time.monotonic() - started < 2
        assert (await asyncio.wait_for(heard, 1)).startswith(b"\x16\x03")


async def test_who_gives_up_in_the_midst_of_a_handshake_hangs_up() -> None:
    async with silent() as (port, heard), Fetcher(HOME, resolving("127.0.0.1")) as fetcher:
        fetching = asyncio.create_task(fetcher.fetch(f"https://a.example:{port}/", Deadline.after(5), 100))
        await asyncio.sleep(0.3)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert (await asyncio.wait_for(heard, 1)).startswith(b"\x16\x03")
