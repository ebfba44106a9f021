"""Servers that misbehave, on real sockets."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from app.config import FetchSettings
from app.errors import ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline
from tests.imaging.hostile import Behaviour, failure, resolving, saying, serving

HOME = FetchSettings(allow=("127.0.0.1",))
OK = b"HTTP/1.1 200 OK\r\n"
LIMIT = 1000


async def fetched(behave: Behaviour, fetch: FetchSettings = HOME) -> bytes:
    async with serving(behave) as port, Fetcher(fetch) as fetcher:
        return await fetcher.fetch(f"http://127.0.0.1:{port}/a.jpg", Deadline.after(5), LIMIT)


async def error_of(behave: Behaviour, timeout_s: float = 5.0, deadline_s: float = 5.0) -> ErrorCode:
    async with serving(behave) as port:
        fetcher = Fetcher(FetchSettings(allow=("127.0.0.1",), timeout_s=timeout_s))
        return (await failure(fetcher, f"http://127.0.0.1:{port}/a.jpg", deadline_s, LIMIT)).code


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (OK + b"Content-Length: 7\r\n\r\npicture", b"picture"),
        (OK + b"\r\npicture", b"picture"),
        (chunked(b"pic", b"ture"), b"picture"),
        (chunked(*([b"a"] * LIMIT)), b"a" * LIMIT),
        (OK + b"Content-Length: 1000\r\n\r\n" + b"a" * LIMIT, b"a" * LIMIT),
        (OK + b"\r\n" + b"a" * LIMIT, b"a" * LIMIT),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (OK + b"Content-Length: 7\r\nContent-Encoding: Identity\r\n\r\npicture", b"picture"),
        (OK + b"Content-Length: 7\r\nContent-Encoding:\r\n\r\npicture", b"picture"),
        (b"HTTP/1.0 200\r\n\r\npicture", b"picture"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 7\r\n\r\npicture", b"picture"),
    ],
)
async def test_a_picture_is_read_however_its_length_is_told(reply: bytes, body: bytes) -> None:
    assert await fetched(saying(reply)) == body


@pytest.mark.parametrize(
    "parts",
    [
        [OK + b"Content-Length: 1001\r\n\r\n"],
        [OK + b"Content-Length: 99999999999999999999\r\n\r\n"],
        [OK + b"\r\n" + b"a" * 1001],
        [chunked(b"a" * 500, b"a" * 501)],
        [OK + b"\r\n", *([b"a" * 65536] * 200)],
    ],
)
async def test_more_than_the_limit_is_refused_before_it_is_read(parts: list[bytes]) -> None:
    assert await error_of(saying(*parts)) is ErrorCode.IMAGE_SIZE_EXCEED


@pytest.mark.parametrize(
    "reply",
    [
        *(
            b"",
            b"\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"220 mail.example ESMTP\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"\0" * 99,
        ),
        *(b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 500 Oops\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
        *(b"HTTP/1.1 999 Odd\r\n\r\n", b"HTTP/1.1 -1\r\n\r\n", b"HTTP/1.1 200"),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\npicture",
        b"HTTP/1.1 302 Found\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
        OK + b"Content-Encoding: br\r\n\r\npicture",
        OK + b"Content-Encoding: identity, gzip\r\n\r\npicture",
        OK + b"Content-Length: 100\r\n\r\npicture",
        OK + b"Content-Length: 7\r\nContent-Length: 8\r\n\r\npicture",
        OK + b"Content-Length: -7\r\n\r\npicture",
        OK + b"Content-Length: 0x7\r\n\r\npicture",
        OK + b"Transfer-Encoding: chunked\r\n\r\n7\r\npict",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\npicture\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\npicture\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\npicture",
        OK + b"X: " + b"a" * 500_000 + b"\r\n\r\npicture",
        OK + b"\xff\xfe: x\r\n\r\npicture",
    ],
)
async def test_an_answer_that_is_not_a_whole_picture_is_a_download_error(reply: bytes) -> None:
    assert await error_of(saying(reply)) is ErrorCode.IMAGE_DOWNLOAD_ERROR


TRICKLES = {
    "no answer": saying(b"", pause=30),
    "header, byte by byte": saying(*([b"H"] + [b"T"] * 500), pause=0.02),
    "endless early hints": saying(*([b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 500), pause=0.01),
    "body, byte by byte": saying(OK + b"Content-Length: 900\r\n\r\n", *([b"a"] * 900), pause=0.02),
    "body without an end": saying(OK + b"\r\n", *([b"a"] * 900), pause=0.02),
    "chunks without an end": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", *([b"1\r\na\r\n"] * 900), pause=0.02),
    "half a body, then silence": saying(OK + b"Content-Length: 100\r\n\r\n" + b"a" * 50, b"", pause=30),
}


@pytest.mark.parametrize("name", TRICKLES)
@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "code"),
    [(0.15, 5.0, ErrorCode.IMAGE_DOWNLOAD_ERROR), (5.0, 0.15, ErrorCode.REQUEST_TIMEOUT)],
)
async def test_a_slow_server_is_given_up_in_time(
    name: str, timeout_s: float, deadline_s: float, code: ErrorCode
) -> None:
    started = time.monotonic()
    assert await error_of(TRICKLES[name], timeout_s, deadline_s) is code
    assert 0.1 < time.monotonic() - started < 2


async def test_a_flood_of_tiny_chunks_leaves_the_others_their_turn() -> None:
    flood = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 60_000
    async with serving(saying(flood, b"", pause=5)) as port, Fetcher(HOME) as fetcher:
        fetching = asyncio.create_task(fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(0.3), 10**6))
        turns = 0
        while not fetching.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert fetching.exception() is not None
    assert turns > 20


async def test_a_redirect_from_an_allowed_server_to_a_private_one_is_not_followed() -> None:
    asked = asyncio.Event()

    async def victim(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.write(OK + b"\r\nsecret")

    async with serving(victim) as private:
        target = f"http://localhost:{private}/secret".encode()
        reply = b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\n\r\n"
        async with serving(saying(reply)) as port:
            fetcher = Fetcher(FetchSettings(allow=("store.internal",)), resolver=resolving("127.0.0.1"))
            error = await failure(fetcher, f"http://store.internal:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert not asked.is_set()


async def test_a_closed_port_looks_like_any_other_failure() -> None:
    async with serving(saying(b"")) as port:
        pass
    error = await failure(Fetcher(HOME), f"http://127.0.0.1:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)


async def test_the_second_address_answers_where_the_first_is_closed() -> None:
    async with serving(saying(OK + b"\r\npicture")) as port:
        fetcher = Fetcher(FetchSettings(allow=("127.0.0.0/8",)), resolver=resolving("127.0.0.2", "127.0.0.1"))
        async with fetcher:
            assert await fetcher.fetch(f"http://a.example:{port}/", Deadline.after(5), LIMIT) == b"picture"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await fetched(saying(OK + b"\r\npicture")) == b"picture"


async def test_the_request_names_the_host_and_gives_nothing_away() -> None:
    requests: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"\r\npicture")
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = Fetcher(FetchSettings(allow=("store.internal",)), resolver=resolving("127.0.0.1"))
    async with server, fetcher:
        assert await fetcher.fetch(f"http://Store.internal:{port}/a?b#c", Deadline.after(5), LIMIT) == b"picture"
    (request,) = requests
    line, *headers = request.decode().strip().split("\r\n")
    assert line == "GET /a?b HTTP/1.1"
    names = [header.partition(":")[0].lower() for header in headers]
    assert sorted(names) == ["accept", "accept-encoding", "connection", "host", "user-agent"]
    assert f"Host: store.internal:{port}" in headers
    assert "Connection: close" in headers


async def test_fetches_run_side_by_side() -> None:
    async with serving(saying(b"", OK + b"\r\npicture", pause=0.1)) as port, Fetcher(HOME) as fetcher:
        started = time.monotonic()
        many = [fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), LIMIT) for _ in range(30)]
        assert await asyncio.gather(*many) == [b"picture"] * 30
    assert time.monotonic() - started < 2


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the program openssl is not here")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=a.example", "-addext", "subjectAltName=DNS:a.example,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run([openssl, "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return _server_context(key, certificate)


def _server_context(key: Path, certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(self_signed: ssl.SSLContext) -> None:
    names: list[str | None] = []
    asked = asyncio.Event()

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    self_signed.sni_callback = lambda _socket, name, _context: names.append(name)
    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=self_signed)
    port = server.sockets[0].getsockname()[1]
    async with server:
        fetcher = Fetcher(FetchSettings(allow=("a.example",)), resolver=resolving("127.0.0.1"))
        error = await failure(fetcher, f"https://a.example:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)
    assert names == ["a.example"]
    assert not asked.is_set()
