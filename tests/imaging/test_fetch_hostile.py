"""Servers that misbehave, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc

import pytest

from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline
from app.settings import FetchSettings
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
async def test_a_flood_is_hung_up_on(name: str) -> None:
    head, part, outcome = FLOODS[name]
    sent, hung_up = 0, asyncio.Event()

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head)
        try:
            while True:
                writer.write(part)
                await writer.drain()
                sent += len(part)
        finally:
            hung_up.set()

    async with serving(flood) as port, Fetcher(FetchSettings(allow=("127.0.0.1",), timeout_s=1)) as fetcher:
        started = time.monotonic()
        fetching = fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), LIMIT)
        (fetched,) = await asyncio.gather(fetching, return_exceptions=True)
        assert time.monotonic() - started < 0.8, "no need to wait for the time to be up"
        await asyncio.wait_for(hung_up.wait(), 1)
    assert (fetched.code if isinstance(fetched, ApiError) else fetched) == outcome
    assert sent < 20_000_000  # most of it waits in the buffers of the sockets


async def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)
    reply = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    tracemalloc.start()
    async with serving(saying(reply)) as port, Fetcher(HOME) as fetcher:
        with pytest.raises(ApiError) as caught:
            await fetcher.fetch(f"http://127.0.0.1:{port}/", Deadline.after(5), 4_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert peak < 20_000_000


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
