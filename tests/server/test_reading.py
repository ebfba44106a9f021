"""What the server reads and keeps in memory: pipelined requests, body sizes, and the lines of heads and trailers."""

import asyncio
import hashlib
import time
from itertools import accumulate
from types import SimpleNamespace

import pytest

from app.server.connection import Connection, ConnectionLimits
from tests.server.harness import BODY, HEAD, LONG_LIMITS, REQUEST, GatedComparison, local_server
from tests.support.fakes import CLOSED, OPEN, authorization, limited

pytestmark = pytest.mark.usefixtures("scheme")


async def test_pipelined_requests_do_not_accumulate_in_memory() -> None:
    """The server answers all of them and never buffers much more than one."""
    form = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\na"
    )
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(60):
        client = await local.connect()
        client.send(form * 20_000)
        for _ in range(100):
            assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        (connection,) = local.connections
        assert isinstance(connection, Connection)
        assert len(connection.conn.trailing_data[0]) < 100_000


async def test_pipelined_requests_are_answered_wherever_their_bytes_are_split() -> None:
    data = REQUEST * 3
    async with local_server(limits=ConnectionLimits(1000, 60, 60, 60)) as local, asyncio.timeout(60):
        for position in range(1, len(data)):
            client = await local.connect()
            client.send(data[:position])
            await asyncio.sleep(0)
            client.send(data[position:])
            assert [(await client.response_head())[:13] for _ in range(3)] == [b"HTTP/1.1 200 "] * 3


async def test_only_a_body_of_known_length_is_read_in_large_chunks() -> None:
    body = BODY + b" " * (2_000_000 - len(BODY))
    known = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    unknown = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    read_sizes: list[int] = []

    receive = Connection.data_received

    def recording_receive(connection: Connection, data: bytes) -> None:
        read_sizes.append(len(data))
        receive(connection, data)

    def sizes_from(offset: int) -> list[int]:
        """Return the sizes of the reads that began at or after this byte."""
        starts = [0, *accumulate(read_sizes)]
        return [size for size, start in zip(read_sizes, starts, strict=False) if start >= offset]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "data_received", recording_receive)
        for request, smallest, largest in ((known, 16 * 1024 + 1, 256 * 1024), (unknown, 1, 16 * 1024)):
            read_sizes.clear()
            async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(60):
                client = await local.connect()
                client.send(request + HEAD + b"a: " + b"x" * 240_000 + b"\r\n\r\n")
                assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
                assert smallest <= max(read_sizes) <= largest
                assert (await client.status_line()).startswith(b"HTTP/1.1 400 ")
                assert 0 < max(sizes_from(len(request))) <= 16 * 1024


@pytest.mark.parametrize("is_unchanged", [True, False])
async def test_a_signed_body_is_hashed_while_it_arrives(monkeypatch: pytest.MonkeyPatch, is_unchanged: bool) -> None:
    hashed: list[bytes] = []

    class Digest:
        def __init__(self) -> None:
            self._digest = hashlib.sha256()
            self.hexdigest = self._digest.hexdigest

        def update(self, data: bytes) -> None:
            hashed.append(data)
            self._digest.update(data)

    monkeypatch.setattr("app.api.gateway.hashlib", SimpleNamespace(sha256=Digest))
    body, now = BODY + b" " * 600_000, int(time.time())
    signature = authorization(body, host="a", timestamp=now)
    head = HEAD + f"Content-Type: application/json\r\nX-TC-Timestamp: {now}\r\nAuthorization: {signature}\r\n".encode()
    sent = body if is_unchanged else body[:-1] + b"\t"
    for settings, min_pieces in ((CLOSED, 3), (OPEN, 0)):
        hashed.clear()
        async with local_server(limits=LONG_LIMITS, settings=settings) as local:
            client = await local.connect()
            client.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + sent)
            response = await client.response_body()
        assert len(hashed) >= min_pieces
        assert b"".join(hashed) == (sent if min_pieces else b"")  # without signatures nothing is hashed
        assert (b"SignatureFailure" in response) == (min_pieces > 0 and not is_unchanged)
        assert (b'"Score"' in response) != (b"SignatureFailure" in response)


async def test_queued_requests_buffer_little_of_their_bodies() -> None:
    comparison = GatedComparison()
    body = BODY + b" " * (2_000_000 - len(BODY))
    limits, settings = ConnectionLimits(9, 60, 60, 60), limited(max_in_flight=1)
    async with local_server(comparison, limits, settings=settings) as local, asyncio.timeout(60):
        first, second = await local.connect(), await local.connect()
        first.send(REQUEST)
        await asyncio.sleep(0.2)
        second.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.3)
        (buffered,) = [size for connection in local.connections if (size := len(connection.cycle.body))]
        assert 16 * 1024 < buffered < 100 * 1024
        comparison.release.set()
        assert (await first.response_head()).startswith(b"HTTP/1.1 200 ")
        assert (await second.response_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_pipelined_head_has_the_same_size_limit() -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        client = await local.connect()
        client.send(REQUEST + HEAD + b"a: " + b"x" * 240_000 + b"\r\n\r\n")
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert (await client.status_line()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [b"", REQUEST])
@pytest.mark.parametrize(("lines", "status"), [(490, b"200"), (510, b"400"), (15_000, b"400")])
async def test_a_head_with_too_many_lines_is_rejected_before_they_are_parsed(
    before: bytes, lines: int, status: bytes
) -> None:
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(10):
        client = await local.connect()
        client.send(
            before + HEAD + b"a:\r\n" * lines + b"Content-Length: 2000\r\n\r\n" + BODY + b"\n" * (2000 - len(BODY))
        )
        if before:
            assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert (await client.status_line()).startswith(b"HTTP/1.1 %s " % status)
        if status == b"400":
            assert await client.remaining_bytes()  # the response arrives, without a reset, although the client sends


async def test_lines_of_a_body_do_not_count_as_header_lines() -> None:
    body = BODY + b"\n" * 2000
    request = (HEAD + b"Content-Length: %d\r\n\r\n" % len(body)).replace(b"\r\n", b"\n") + body
    async with local_server(limits=LONG_LIMITS) as local:
        client = await local.connect()
        client.send(request)
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pause_s", [0, 0.2])
@pytest.mark.parametrize(("lines", "status"), [(490, b"200"), (510, b"400"), (5_000, b"400")])
async def test_trailers_have_the_same_line_limit(lines: int, status: bytes, pause_s: float) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(10):
        client = await local.connect()
        client.send(HEAD + chunked + b"a:\n" * lines)
        await asyncio.sleep(pause_s)
        client.send(b"\r\n")
        assert (await client.status_line()).startswith(b"HTTP/1.1 %s " % status)
        if status == b"400":
            assert await client.remaining_bytes()


async def test_a_head_after_a_body_that_was_not_read_has_the_same_line_limit() -> None:
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(10):
        client = await local.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")  # an error: the action is missing
        client.send(b"x" * 20 + HEAD + b"a:\n" * 3000 + b"\r\n")
        assert (await client.status_line()).startswith(b"HTTP/1.1 400 ")


async def test_a_pipelined_head_with_too_many_lines_does_not_affect_the_request_before_it() -> None:
    comparison = GatedComparison()
    async with local_server(comparison, LONG_LIMITS) as local, asyncio.timeout(10):
        client = await local.connect()
        client.send(REQUEST)
        await asyncio.sleep(0.1)
        client.send(HEAD + b"a:\r\n" * 510 + b"\r\n")
        await asyncio.sleep(0.1)
        comparison.release.set()
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert (await client.status_line()).startswith(b"HTTP/1.1 400 ")
