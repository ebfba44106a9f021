"""Misbehaving servers on real sockets."""

import asyncio
import gzip
import time
import tracemalloc

import pytest

from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline
from app.settings import FetchSettings
from tests.imaging.fake_network import Handler, fetch_error, fixed_resolver, running_server, sending

ALLOW_LOOPBACK = FetchSettings(allow=("127.0.0.1",))
OK = b"HTTP/1.1 200 OK\r\n"
MAX_BYTES = 1000


async def fetch_image(handle: Handler, fetch: FetchSettings = ALLOW_LOOPBACK) -> bytes:
    async with running_server(handle) as port, Fetcher(fetch) as fetcher:
        return await fetcher.fetch(f"http://127.0.0.1:{port}/a.jpg", Deadline.after(5), MAX_BYTES)


async def error_of(handle: Handler, timeout_s: float = 5.0, deadline_s: float = 5.0) -> ErrorCode:
    async with running_server(handle) as port:
        fetcher = Fetcher(FetchSettings(allow=("127.0.0.1",), timeout_s=timeout_s))
        return (await fetch_error(fetcher, f"http://127.0.0.1:{port}/a.jpg", deadline_s, MAX_BYTES)).code


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (OK + b"Content-Length: 7\r\n\r\ncontent", b"content"),
        (OK + b"\r\ncontent", b"content"),
        (chunked(b"con", b"tent"), b"content"),
        (chunked(*([b"a"] * MAX_BYTES)), b"a" * MAX_BYTES),
        (OK + b"Content-Length: 1000\r\n\r\n" + b"a" * MAX_BYTES, b"a" * MAX_BYTES),
        (OK + b"\r\n" + b"a" * MAX_BYTES, b"a" * MAX_BYTES),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (OK + b"Content-Length: 7\r\nContent-Encoding: Identity\r\n\r\ncontent", b"content"),
        (OK + b"Content-Length: 7\r\nContent-Encoding:\r\n\r\ncontent", b"content"),
        (b"HTTP/1.0 200\r\n\r\ncontent", b"content"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 7\r\n\r\ncontent", b"content"),
    ],
)
async def test_bodies_are_read_for_all_ways_to_declare_their_length(reply: bytes, body: bytes) -> None:
    assert await fetch_image(sending(reply)) == body


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
async def test_a_body_over_the_limit_is_rejected_early(parts: list[bytes]) -> None:
    assert await error_of(sending(*parts)) is ErrorCode.IMAGE_SIZE_EXCEED


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
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\ncontent",
        b"HTTP/1.1 302 Found\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
        OK + b"Content-Encoding: br\r\n\r\ncontent",
        OK + b"Content-Encoding: identity, gzip\r\n\r\ncontent",
        OK + b"Content-Length: 100\r\n\r\ncontent",
        OK + b"Content-Length: 7\r\nContent-Length: 8\r\n\r\ncontent",
        OK + b"Content-Length: -7\r\n\r\ncontent",
        OK + b"Content-Length: 0x7\r\n\r\ncontent",
        OK + b"Transfer-Encoding: chunked\r\n\r\n7\r\ncont",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\ncontent\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\ncontent\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\ncontent",
        OK + b"X: " + b"a" * 500_000 + b"\r\n\r\ncontent",
        OK + b"\xff\xfe: x\r\n\r\ncontent",
    ],
)
async def test_incomplete_or_invalid_responses_are_download_errors(reply: bytes) -> None:
    assert await error_of(sending(reply)) is ErrorCode.IMAGE_DOWNLOAD_ERROR


SLOW_HANDLERS = {
    "no response": sending(b"", pause=30),
    "header, byte by byte": sending(*([b"H"] + [b"T"] * 500), pause=0.02),
    "endless early hints": sending(*([b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 500), pause=0.01),
    "body, byte by byte": sending(OK + b"Content-Length: 900\r\n\r\n", *([b"a"] * 900), pause=0.02),
    "body without an end": sending(OK + b"\r\n", *([b"a"] * 900), pause=0.02),
    "chunks without an end": sending(OK + b"Transfer-Encoding: chunked\r\n\r\n", *([b"1\r\na\r\n"] * 900), pause=0.02),
    "half a body, then silence": sending(OK + b"Content-Length: 100\r\n\r\n" + b"a" * 50, b"", pause=30),
}


@pytest.mark.parametrize("name", SLOW_HANDLERS)
@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "code"),
    [(0.15, 5.0, ErrorCode.IMAGE_DOWNLOAD_ERROR), (5.0, 0.15, ErrorCode.REQUEST_TIMEOUT)],
)
async def test_a_slow_server_is_abandoned_at_the_timeout(
    name: str, timeout_s: float, deadline_s: float, code: ErrorCode
) -> None:
    started = time.monotonic()
    assert await error_of(SLOW_HANDLERS[name], timeout_s, deadline_s) is code
    assert 0.1 < time.monotonic() - started < 2


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "body": (OK + b"\r\n", b"a" * 65536, ErrorCode.IMAGE_SIZE_EXCEED),
    "body of a small length": (OK + b"Content-Length: 7\r\n\r\n", b"a" * 65536, b"a" * 7),
    "body in tiny chunks": (CHUNKED, b"1\r\na\r\n" * 1000, ErrorCode.IMAGE_SIZE_EXCEED),
    "one header": (OK + b"X: ", b"a" * 65536, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "many headers": (OK, b"X: a\r\n" * 1000, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "length of a chunk": (CHUNKED, b"0" * 65536, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "extension of a chunk": (CHUNKED + b"1;", b"a" * 65536, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"X: a\r\n" * 1000, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "body of a redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n",
        b"a" * 65536,
        ErrorCode.IMAGE_DOWNLOAD_ERROR,
    ),
    "body of an error": (b"HTTP/1.1 404 Not Found\r\n\r\n", b"a" * 65536, ErrorCode.IMAGE_DOWNLOAD_ERROR),
    "bomb": (OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(10**7)), ErrorCode.IMAGE_DOWNLOAD_ERROR),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_the_connection_of_a_flood_is_closed(name: str) -> None:
    head, part, outcome = FLOODS[name]
    sent, closed = 0, asyncio.Event()

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head)
        try:
            while True:
                writer.write(part)
                await writer.drain()
                sent += len(part)
        finally:
            closed.set()

    async with running_server(flood) as port, Fetcher(FetchSettings(allow=("127.0.0.1",), timeout_s=1)) as fetcher:
        started = time.monotonic()
        fetching = fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), MAX_BYTES)
        (result,) = await asyncio.gather(fetching, return_exceptions=True)
        assert time.monotonic() - started < 0.8, "the flood must be rejected before the timeout"
        await asyncio.wait_for(closed.wait(), 1)
    assert (result.code if isinstance(result, ApiError) else result) == outcome
    assert sent < 20_000_000  # most of it is in the socket buffers


async def test_a_compression_bomb_is_not_decompressed() -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)
    reply = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    tracemalloc.start()
    async with running_server(sending(reply)) as port, Fetcher(ALLOW_LOOPBACK) as fetcher:
        with pytest.raises(ApiError) as caught:
            await fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), 4_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert peak < 20_000_000


async def test_a_flood_of_tiny_chunks_does_not_block_other_tasks() -> None:
    flood = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 60_000
    async with running_server(sending(flood, b"", pause=5)) as port, Fetcher(ALLOW_LOOPBACK) as fetcher:
        fetching = asyncio.create_task(fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(0.3), 10**6))
        iterations = 0
        while not fetching.done():
            await asyncio.sleep(0.001)
            iterations += 1
        assert fetching.exception() is not None
    assert iterations > 20


async def test_a_redirect_from_an_allowed_server_to_a_private_one_is_not_followed() -> None:
    requested = asyncio.Event()

    async def private_server(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requested.set()
        writer.write(OK + b"\r\nsecret")

    async with running_server(private_server) as private_port:
        target = f"http://localhost:{private_port}/secret".encode()
        reply = b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\n\r\n"
        async with running_server(sending(reply)) as port:
            fetcher = Fetcher(FetchSettings(allow=("store.internal",)), resolver=fixed_resolver("127.0.0.1"))
            error = await fetch_error(fetcher, f"http://store.internal:{port}/")
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert not requested.is_set()


async def test_a_closed_port_has_the_same_error_as_other_failures() -> None:
    async with running_server(sending(b"")) as port:
        pass
    error = await fetch_error(Fetcher(ALLOW_LOOPBACK), f"http://127.0.0.1:{port}/")
    assert (error.code, error.text) == (ErrorCode.IMAGE_DOWNLOAD_ERROR, ErrorCode.IMAGE_DOWNLOAD_ERROR.text)


async def test_after_a_closed_port_the_second_address_is_tried() -> None:
    async with running_server(sending(OK + b"\r\ncontent")) as port:
        fetcher = Fetcher(FetchSettings(allow=("127.0.0.0/8",)), resolver=fixed_resolver("127.0.0.2", "127.0.0.1"))
        async with fetcher:
            assert await fetcher.fetch(f"http://a.example:{port}/", Deadline.after(5), MAX_BYTES) == b"content"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await fetch_image(sending(OK + b"\r\ncontent")) == b"content"


async def test_the_request_has_the_host_header_and_reveals_nothing_else() -> None:
    requests: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"\r\ncontent")
        writer.close()

    server = await asyncio.start_server(record, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = Fetcher(FetchSettings(allow=("store.internal",)), resolver=fixed_resolver("127.0.0.1"))
    async with server, fetcher:
        assert await fetcher.fetch(f"http://Store.internal:{port}/a?b#c", Deadline.after(5), MAX_BYTES) == b"content"
    (request,) = requests
    line, *headers = request.decode().strip().split("\r\n")
    assert line == "GET /a?b HTTP/1.1"
    names = [header.partition(":")[0].lower() for header in headers]
    assert sorted(names) == ["accept", "accept-encoding", "connection", "host", "user-agent"]
    assert f"Host: store.internal:{port}" in headers
    assert "Connection: close" in headers


async def test_downloads_run_concurrently() -> None:
    async with running_server(sending(b"", OK + b"\r\ncontent", pause=0.1)) as port, Fetcher(ALLOW_LOOPBACK) as fetcher:
        started = time.monotonic()
        downloads = [fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), MAX_BYTES) for _ in range(30)]
        assert await asyncio.gather(*downloads) == [b"content"] * 30
    assert time.monotonic() - started < 2
