"""What a peer may do with a socket, on real ones."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from app.asgi import create_app
from app.domain import CompareOptions, Comparison, ImageRef
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.server.connection import PARTING_S, Bounds, Connection, bounded
from app.server.server import Server, take_no_more
from app.tools.serving import MAX_HEADER_BYTES, bind
from tests.support.fakes import (
    CLOSED,
    OPEN,
    Behaviour,
    FakeEngine,
    FakeService,
    authorization,
    fixed_comparison,
    limited,
)

_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nX-TC-Action: CompareFace\r\nX-TC-Version: 2020-03-03\r\n"
_BODY = b'{"UrlA":"a","UrlB":"b"}'
_REQUEST = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_BOUNDS = Bounds(most=3, header_timeout_s=0.3, deadline_s=0.4)


class _Peer:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def reply(self) -> bytes:
        """Return the head of the next reply; its body is read, too. Empty once the connection is closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return head

    async def body(self) -> bytes:
        """Return the body of the next reply."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        return await self._reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))

    async def reply_line(self) -> bytes:
        """Return the first line of the next reply."""
        return await self._reader.readline()

    async def rest(self) -> bytes:
        """Return what comes until the connection is closed."""
        return await self._reader.read()

    def leave(self) -> None:
        self._writer.close()

    def end(self) -> None:
        self._writer.write_eof()

    async def is_closed(self, within_s: float = 0.1) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


class _Site:
    """A server in this process."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self._port = server, port
        self.peers: list[_Peer] = []

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)

    async def peer(self) -> _Peer:
        self.peers.append(_Peer(*await asyncio.open_connection("127.0.0.1", self._port)))
        return self.peers[-1]


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _served(
    behaviour: Behaviour = fixed_comparison,
    bounds: Bounds = _BOUNDS,
    readiness_delay_s: float = 0,
    settings: Settings = OPEN,
) -> AsyncIterator[_Site]:
    application = create_app(settings, lambda _: nullcontext(FakeEngine(FakeService(behaviour))))
    config = uvicorn.Config(
        application,
        http=bounded(bounds),
        timeout_keep_alive=0,
        log_config=None,
        access_log=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    server = Server(config, readiness_delay_s)
    with bind("127.0.0.1", 0) as listener:
        running = asyncio.create_task(server.serve([listener]))
        await _until(lambda: server.started)
        site = _Site(server, listener.getsockname()[1])
        yield site
        for peer in site.peers:
            peer.leave()
        server.should_exit = True
        await running


async def test_a_head_that_does_not_come_closes_the_connection() -> None:
    async with _served() as site:
        silent, slow = await site.peer(), await site.peer()
        for byte in _HEAD[:20]:
            slow.send(bytes([byte]))
            await asyncio.sleep(0.03)
        assert await silent.is_closed()
        assert await slow.is_closed()


async def test_every_reply_gives_the_next_head_its_time_anew() -> None:
    async with _served() as site:
        peer = await site.peer()
        for _ in range(4):
            await asyncio.sleep(0.15)
            peer.send(_REQUEST)
            assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert await peer.is_closed(within_s=1)


async def test_of_too_many_connections_the_one_that_waits_longest_gives_way() -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site:
        first, second, third = [await site.peer() for _ in range(3)]
        first.send(_REQUEST)
        assert await first.reply()  # now it is the second that has waited longest
        fourth = await site.peer()
        assert [await peer.is_closed() for peer in (first, second, third, fourth)] == [False, True, False, False]
        fourth.send(_REQUEST)
        assert await fourth.reply()


class _Stuck:
    """Comparisons that do not end by themselves."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0

    async def __call__(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


async def test_where_all_are_at_work_the_newest_is_turned_away() -> None:
    stuck = _Stuck()
    async with _served(stuck, Bounds(2, 60, 60)) as site:
        working = [await site.peer() for _ in range(2)]
        for peer in working:
            peer.send(_REQUEST)
        await _until(lambda: stuck.begun == 2)
        assert await (await site.peer()).is_closed()
        assert [await peer.is_closed() for peer in working] == [False, False]


@pytest.mark.parametrize("go", [_Peer.leave, _Peer.end])
async def test_the_work_of_a_caller_who_leaves_is_cancelled(go: Callable[[_Peer], None]) -> None:
    """Who closes the sending half only has left, too."""
    stuck = _Stuck()
    async with _served(stuck, Bounds(2, 60, 60)) as site:
        peer = await site.peer()
        peer.send(_REQUEST)
        await _until(lambda: stuck.begun == 1)
        go(peer)
        await _until(lambda: stuck.cancelled == 1)


async def test_who_does_not_take_the_replies_is_closed() -> None:
    async with _served() as site:
        peer = await site.peer()
        peer.send(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
        await asyncio.sleep(2)
        assert site.server.server_state.connections == set()


async def test_who_is_refused_and_goes_on_sending_is_closed_in_the_end() -> None:
    async with _served(bounds=Bounds(3, 0.3, 0.4)) as site:
        peer = await site.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9999999\r\n\r\n")
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert await peer.is_closed()
        assert site.server.server_state.connections
        async with asyncio.timeout(10):
            while site.server.server_state.connections:
                peer.send(b"a" * 10_000)
                await asyncio.sleep(0.05)


async def test_who_sends_ahead_fills_no_memory() -> None:
    """Each of its requests is answered, and none lets more in than it takes out."""
    form = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\na"
    )
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(60):
        peer = await site.peer()
        peer.send(form * 20_000)
        for _ in range(100):
            assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        (connection,) = site.server.server_state.connections
        assert isinstance(connection, Connection)
        assert len(connection.conn.trailing_data[0]) < 100_000


async def test_all_who_send_ahead_are_answered_however_it_is_cut() -> None:
    sent = _REQUEST * 3
    async with _served(bounds=Bounds(1000, 60, 60)) as site, asyncio.timeout(60):
        for cut in range(1, len(sent)):
            peer = await site.peer()
            peer.send(sent[:cut])
            await asyncio.sleep(0)
            peer.send(sent[cut:])
            assert [(await peer.reply())[:13] for _ in range(3)] == [b"HTTP/1.1 200 "] * 3


async def test_a_body_of_known_length_is_read_in_large_pieces_and_nothing_else_is() -> None:
    body = _BODY + b" " * (2_000_000 - len(_BODY))
    known = _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    unknown = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    read: list[int] = []

    class Counted(Connection):
        def data_received(self, data: bytes) -> None:
            read.append(len(data))
            super().data_received(data)

    def after(sent: int) -> list[int]:
        """Lengths of the pieces that began when so many bytes had been read."""
        return [length for length, begun in zip(read, [0, *accumulate(read)], strict=False) if begun >= sent]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.server.connection.Connection", Counted)
        for sent, least, most in ((known, 16 * 1024 + 1, 256 * 1024), (unknown, 1, 16 * 1024)):
            read.clear()
            async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(60):
                peer = await site.peer()
                peer.send(sent + _HEAD + b"a: " + b"x" * 240_000 + b"\r\n\r\n")
                assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
                assert least <= max(read) <= most
                assert (await peer.reply_line()).startswith(b"HTTP/1.1 400 ")
                assert 0 < max(after(len(sent))) <= 16 * 1024


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_signed_body_is_hashed_to_its_end_as_it_comes(monkeypatch: pytest.MonkeyPatch, is_whole: bool) -> None:
    hashed: list[bytes] = []

    class Digest:
        def __init__(self) -> None:
            self._digest = hashlib.sha256()
            self.hexdigest = self._digest.hexdigest

        def update(self, data: bytes) -> None:
            hashed.append(data)
            self._digest.update(data)

    monkeypatch.setattr("app.api.gateway.hashlib", SimpleNamespace(sha256=Digest))
    body, now = _BODY + b" " * 600_000, int(time.time())
    signature = authorization(body, host="a", timestamp=now)
    head = _HEAD + f"Content-Type: application/json\r\nX-TC-Timestamp: {now}\r\nAuthorization: {signature}\r\n".encode()
    sent = body if is_whole else body[:-1] + b"\t"
    for settings, pieces in ((CLOSED, 3), (OPEN, 0)):
        hashed.clear()
        async with _served(bounds=Bounds(3, 60, 60), settings=settings) as site:
            peer = await site.peer()
            peer.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + sent)
            reply = await peer.body()
        assert len(hashed) >= pieces
        assert b"".join(hashed) == (sent if pieces else b"")  # nothing is hashed where nobody has to sign
        assert (b"SignatureFailure" in reply) == (pieces > 0 and not is_whole)
        assert (b'"Score"' in reply) != (b"SignatureFailure" in reply)


async def test_who_waits_in_line_has_little_of_a_body_in_memory() -> None:
    release = asyncio.Event()

    async def judged(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        await release.wait()
        return await fixed_comparison(a, b, options, timer)

    body = _BODY + b" " * (2_000_000 - len(_BODY))
    async with _served(judged, Bounds(9, 60, 60), settings=limited(max_in_flight=1)) as site, asyncio.timeout(60):
        first, second = await site.peer(), await site.peer()
        first.send(_REQUEST)
        await asyncio.sleep(0.2)
        second.send(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.3)
        (in_memory,) = [size for each in site.connections if (size := len(each.cycle.body))]
        assert 16 * 1024 < in_memory < 100 * 1024
        release.set()
        assert (await first.reply()).startswith(b"HTTP/1.1 200 ")
        assert (await second.reply()).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_is_sent_ahead_is_bounded_as_others() -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site:
        peer = await site.peer()
        peer.send(_REQUEST + _HEAD + b"a: " + b"x" * 240_000 + b"\r\n\r\n")
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert (await peer.reply_line()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [b"", _REQUEST])
@pytest.mark.parametrize(("lines", "status"), [(490, b"200"), (510, b"400"), (15_000, b"400")])
async def test_a_head_of_very_many_lines_is_refused_before_they_are_looked_at(
    before: bytes, lines: int, status: bytes
) -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(10):
        peer = await site.peer()
        peer.send(
            before + _HEAD + b"a:\r\n" * lines + b"Content-Length: 2000\r\n\r\n" + _BODY + b"\n" * (2000 - len(_BODY))
        )
        if before:
            assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert (await peer.reply_line()).startswith(b"HTTP/1.1 %s " % status)
        if status == b"400":
            assert await peer.rest()  # and no reset, though it was sending


async def test_lines_of_a_body_are_not_those_of_a_head() -> None:
    body = _BODY + b"\n" * 2000
    request = (_HEAD + b"Content-Length: %d\r\n\r\n" % len(body)).replace(b"\r\n", b"\n") + body
    async with _served(bounds=Bounds(3, 60, 60)) as site:
        peer = await site.peer()
        peer.send(request)
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pause_s", [0, 0.2])
@pytest.mark.parametrize(("lines", "status"), [(490, b"200"), (510, b"400"), (5_000, b"400")])
async def test_trailers_are_bounded_as_heads_are(lines: int, status: bytes, pause_s: float) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(_BODY), _BODY)
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(10):
        peer = await site.peer()
        peer.send(_HEAD + chunked + b"a:\n" * lines)
        await asyncio.sleep(pause_s)
        peer.send(b"\r\n")
        assert (await peer.reply_line()).startswith(b"HTTP/1.1 %s " % status)
        if status == b"400":
            assert await peer.rest()


async def test_a_head_behind_a_body_that_nobody_waits_for_is_bounded_too() -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(10):
        peer = await site.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")  # told that it names no action
        peer.send(b"x" * 20 + _HEAD + b"a:\n" * 3000 + b"\r\n")
        assert (await peer.reply_line()).startswith(b"HTTP/1.1 400 ")


async def test_lines_that_are_sent_ahead_do_not_undo_the_request_before_them() -> None:
    release = asyncio.Event()

    async def judged(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        await release.wait()
        return await fixed_comparison(a, b, options, timer)

    async with _served(judged, Bounds(3, 60, 60)) as site, asyncio.timeout(10):
        peer = await site.peer()
        peer.send(_REQUEST)
        await asyncio.sleep(0.1)
        peer.send(_HEAD + b"a:\r\n" * 510 + b"\r\n")
        await asyncio.sleep(0.1)
        release.set()
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert (await peer.reply_line()).startswith(b"HTTP/1.1 400 ")


async def test_who_asks_for_another_protocol_is_answered_in_this_one_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site:
        peer = await site.peer()
        peer.send(_REQUEST.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket"))
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
    assert "pgrade" not in caplog.text


@pytest.mark.parametrize("more", [b"\r\n", _REQUEST])
async def test_what_comes_after_the_last_request_does_not_undo_it(more: bytes) -> None:
    release = asyncio.Event()

    async def judged(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        begun.set()
        await release.wait()
        return await fixed_comparison(a, b, options, timer)

    begun = asyncio.Event()
    async with _served(judged, Bounds(3, 60, 60)) as site, asyncio.timeout(20):
        peer = await site.peer()
        peer.send(_REQUEST.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        await begun.wait()
        peer.send(more)
        await asyncio.sleep(0.1)
        release.set()
        assert (await peer.reply()).startswith(b"HTTP/1.1 200 ")
        assert await peer.is_closed()


_NO_REQUESTS = (
    _HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"\0\r\n\r\n",
)


@pytest.mark.parametrize("sent", _NO_REQUESTS)
async def test_who_is_told_that_it_sends_no_http_and_stays_gives_way(sent: bytes) -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site:
        for _ in range(3):
            peer = await site.peer()
            peer.send(sent)
            assert (await peer.reply_line()).startswith(b"HTTP/1.1 400 ")
        new = await site.peer()
        new.send(_REQUEST)
        assert (await new.reply()).startswith(b"HTTP/1.1 200 ")


async def test_who_is_refused_while_sending_does_not_hold_the_end_up() -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(10):
        peer = await site.peer()
        peer.send(_REQUEST)
        assert await peer.reply()
        site.server.should_exit = True
        await _until(lambda: not site.server.servers[0].is_serving())
        peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
        assert await peer.reply()
        await _until(lambda: not site.server.server_state.connections)


async def test_who_is_refused_while_sending_may_send_on_when_the_server_leaves() -> None:
    async with _served(bounds=Bounds(3, 60, 60)) as site, asyncio.timeout(20):
        peer = await site.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
        assert await peer.reply()
        site.server.should_exit = True
        for _ in range(2 * round(PARTING_S / 0.1)):
            peer.send(b"a")
            await asyncio.sleep(0.1)
        assert not await peer.is_closed()
        await _until(lambda: not site.server.server_state.connections)


async def test_while_it_leaves_the_server_says_so_and_takes_requests_as_ever() -> None:
    async with _served(readiness_delay_s=0.3) as site:
        old = await site.peer()
        old.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await old.reply()).startswith(b"HTTP/1.1 200 ")
        site.server.should_exit = True
        await asyncio.sleep(0.2)
        new = await site.peer()
        new.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await new.reply()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in head
        old.send(_REQUEST)
        assert b"\r\nconnection: close\r\n" in await old.reply()
        assert await old.is_closed()


def test_who_begins_to_connect_to_a_server_that_leaves_waits_and_who_has_begun_does_not() -> None:
    with bind("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        listener.listen()
        with socket.create_connection(address) as early:
            take_no_more(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            accepted, _ = listener.accept()
            early.sendall(b"a")
            assert accepted.recv(1) == b"a"
            accepted.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


async def test_who_asks_a_second_time_to_stop_does_not_wait_for_the_notice() -> None:
    async with asyncio.timeout(10), _served(readiness_delay_s=60) as site:
        site.server.should_exit = True
        await asyncio.sleep(0.3)
        site.server.force_exit = True


async def test_a_request_on_its_way_when_the_address_is_given_up_is_answered() -> None:
    async with _served(readiness_delay_s=0) as site:
        peer = await site.peer()
        peer.send(_REQUEST)
        assert await peer.reply()
        site.server.should_exit = True
        await _until(lambda: not site.server.servers[0].is_serving())
        peer.send(_REQUEST)
        assert b"\r\nconnection: close\r\n" in await peer.reply()
