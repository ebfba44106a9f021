"""Connection: what a peer may do with a socket while it has no request at work, so that sockets cannot be held.

Every connection is at one of two stages, and each has its time: it *waits* for the head of a request (``header_timeout_s`` from
the opening or from the last reply), or a request is *at work* (its deadline, and as long again for the reply to be
taken). When there are more connections than there may be, the one that has waited longest gives way; where all are at
work, the newest does. So slow heads and idle connections cost those who have them, and nobody else.

Who is answered while still sending is let finish: a socket closed with bytes unread resets the connection, and the
reply may be lost with it (RFC 9112 section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import h11
from h11._receivebuffer import ReceiveBuffer
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

PARTING_S = 0.5
"""Seconds, when the service stops, in which a request that is on its way may still come on an idle connection, or the
next bytes of who has been answered while sending."""

_PIECE, _PIECE_OF_BODY = 16 * 1024, 256 * 1024
"""Bytes read at once: so many are worked through before it is others' turn, and a head may be longer than its bound by
so many, because h11 bounds it only as long as it is incomplete. A body of known length is no work."""


_MOST_LINES = 500
"""Of a head, or of the trailers of a body in chunks: h11 takes 5 us for each, and 64 KB could hold 32,000."""


class Bounds(NamedTuple):
    """Of the connections of one server."""

    most: int
    header_timeout_s: float
    deadline_s: float


def bounded(bounds: Bounds) -> type[asyncio.Protocol]:
    """Return what uvicorn asks for: something to be called for each connection."""
    waiting: dict[Connection, None] = {}
    return cast("type[asyncio.Protocol]", partial(Connection, bounds, waiting))


class _Transport:
    """asyncio's, but closing while the peer ``has_more`` is to tell it the end, and to drop what it still sends."""

    def __init__(self, transport: asyncio.Transport, has_more: Callable[[], bool]) -> None:
        self._transport = transport
        self._has_more = has_more
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if self._is_closed or not self._has_more() or self._transport.is_closing():
            self._transport.close()
        else:
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset it, and asyncio does not know yet
                self._transport.abort()
            self._transport.resume_reading()
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed or self._transport.is_closing()

    @property
    def at_once(self) -> int:
        """The most that is read at once, bytes."""
        return cast("int", self._transport.max_size)  # type: ignore[attr-defined] # of asyncio's own loops

    @at_once.setter
    def at_once(self, most: int) -> None:
        self._transport.max_size = most  # type: ignore[attr-defined]


class _Flow(FlowControl):
    """uvicorn's, which reads on whenever a body is asked for; but never while the peer ``is_ahead``.

    Else every request of those sent ahead would let more of them into memory than it takes out.
    """

    def __init__(self, transport: asyncio.Transport, is_ahead: Callable[[], bool], asked: Callable[[], None]) -> None:
        """``asked`` is called before it reads on."""
        super().__init__(transport)
        self._is_ahead = is_ahead
        self._asked = asked

    def resume_reading(self) -> None:
        if not self._is_ahead():
            self._asked()
            super().resume_reading()


class _Received(ReceiveBuffer):
    """h11's, but for heads and trailers of very many lines: those make no sense, as others that make none."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        lines = super().maybe_extract_lines()
        if lines is not None and len(lines) > _MOST_LINES:
            raise h11.LocalProtocolError("too many lines")
        return lines


class Connection(H11Protocol):
    """uvicorn's, with a limit to everything."""

    def __init__(self, bounds: Bounds, waiting: dict[Connection, None], **of_uvicorn: Any) -> None:
        """``waiting``: all connections that wait, of the whole server, longest first."""
        super().__init__(**of_uvicorn)
        self.conn._receive_buffer = _Received()  # noqa: SLF001 - h11 bounds bytes, not lines
        self.timeout_keep_alive = bounds.header_timeout_s  # type: ignore[assignment] # uvicorn closes who then sends nothing
        self._bounds = bounds
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None
        self._is_parting = False
        self._to_come = 0  # bytes of a body of known length, about

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self._guarded = _Transport(transport, lambda: self._has_more)
        self._guarded.at_once = _PIECE
        super().connection_made(cast("asyncio.Transport", self._guarded))
        self.flow = _Flow(self.transport, lambda: self._is_ahead, self._read_at_once)
        self._wait()
        if len(self.connections) > self._bounds.most:
            next(iter(self._waiting)).leave()

    def data_received(self, data: bytes) -> None:
        """What comes after the last request is nobody's; h11 would make an error of it, also of a mere empty line."""
        if self._is_parting and self._has_more and not self._is_at_work:
            self._limit(PARTING_S)  # else it is cut off while it sends, and does not come to read its reply
        if not (self.conn.their_state is h11.MUST_CLOSE or self.transport.is_closing()):
            super().data_received(data)
            self._to_come -= len(data)
            self._guarded.at_once = min(self._guarded.at_once, self._piece)

    def _should_upgrade(self) -> bool:
        return False  # uvicorn would complain in the log, twice for every request that asks

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is h11.IDLE:
            self.flow.resume_reading()  # all that was sent ahead has been looked at
        if self in self._waiting and self._is_at_work:
            del self._waiting[self]
            self._limit(2 * self._bounds.deadline_s)
            self._to_come = int(dict(self.headers).get(b"content-length", 0))
            if {b"content-length", b"transfer-encoding"}.issubset(name for name, _ in self.headers):
                self.send_400_response("Ambiguous length.")  # a proxy may have seen another end of the body

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()  # a request that has come meanwhile is begun here

    def send_400_response(self, msg: str) -> None:
        if self._is_at_work:
            self.cycle.disconnected = True  # whoever works for this request is told, and sends no second reply
            self.cycle.message_event.set()
            self.cycle.response_complete = True
            self._wait()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # a reply has been sent, or begun
            self.leave()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._is_at_work:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]  # else the peer would send more
            super().shutdown()
        else:
            self._limit(PARTING_S)
        self._is_parting = True

    def leave(self) -> None:
        """Close without a word; what the peer has not taken yet is dropped."""
        self.transport.abort()
        self._waiting.pop(self, None)
        self.connections.discard(self)

    @property
    def _piece(self) -> int:
        return min(max(self._to_come, _PIECE), _PIECE_OF_BODY)

    def _read_at_once(self) -> None:
        """Read what is left of a body in large pieces, once it is asked for; who waits in line has little in memory."""
        self._guarded.at_once = self._piece

    @property
    def _is_at_work(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request
        return cycle is not None and not cycle.response_complete

    @property
    def _is_ahead(self) -> bool:
        """Whether the peer has sent more than the request that it is answered, and which has ended."""
        has_ended = self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}
        return has_ended and self.conn.trailing_data[0] != b""

    @property
    def _has_more(self) -> bool:
        """Whether the peer may be sending: its body has not ended, or what it sent made no sense, or was too much."""
        return self.conn.their_state in {h11.SEND_BODY, h11.ERROR} or self._is_ahead

    def _wait(self) -> None:
        self._waiting.pop(self, None)
        self._waiting[self] = None
        kept = self._bounds.deadline_s if self._has_more else self._bounds.header_timeout_s
        self._limit(PARTING_S if self._is_parting else kept)

    def _limit(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.leave)
