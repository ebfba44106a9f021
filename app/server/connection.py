"""HTTP/1.1 connections with limits, so that clients cannot hold sockets or memory by sending slowly or not at all.

A connection is idle or busy, and each state has a time limit:

- *idle*: no request head has arrived yet. The limit is ``header_timeout_s`` after the opening, ``keep_alive_s`` after
  a response, and ``header_timeout_s`` again after the first byte of the next head. If the body of a request does not
  end after its response, the limit is ``deadline_s``, and ``header_timeout_s`` if nothing arrives.
- *busy*: a request is processed. The limit is twice its deadline: once for the work, once to send the response.

If a server has more than ``max_connections`` connections, it closes the one that has been idle longest. If all others
are busy, it closes the new one. A TLS handshake is an idle connection (``app.server.handshake``).

After an early response the server keeps reading the request body. Closing a socket with unread data would reset the
connection, and the client might lose the response (RFC 9112 section 9.6). TLS cannot close only the sending half, so
there the connection closes when the client pauses.

The module subclasses uvicorn's ``H11Protocol`` and ``FlowControl``. They are no public interface, so
``pyproject.toml`` keeps uvicorn below its next minor version.
"""

import asyncio
from typing import Any, NamedTuple, Protocol, cast

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.server.header_lines import limit_header_lines
from app.server.protocol_log import ProtocolLog

IDLE_DRAIN_S = 0.5
"""Seconds at shutdown for a request to arrive on an idle connection."""

BODY_DRAIN_S = 0.5
"""Seconds at shutdown for more bytes of a body to arrive after its response."""

TLS_PAUSE_S = 2.0
"""Seconds with TLS for more bytes to arrive after a last response."""

_TLS_HANDSHAKE = b"\x16\x03"
"""The first bytes of a TLS connection: a record of the type `handshake`, major version 3."""

READ_SIZE = 16 * 1024
"""Bytes per read. A head may exceed its limit by one read, because h11 checks the limit only on incomplete heads."""

_BODY_READ_SIZE = 256 * 1024
"""Bytes per read of a body of known length, which needs no parsing."""


class ConnectionLimits(NamedTuple):
    """Limits for the connections of one server."""

    max_connections: int
    header_timeout_s: float
    keep_alive_s: float
    deadline_s: float


class _IdleConnection(Protocol):
    def abort(self) -> None: ...


class ConnectionGroup:
    """The limits and the idle connections of one server, in the order in which they became idle."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.idle: dict[_IdleConnection, None] = {}
        self.protocol_log = ProtocolLog()

    def close_excess(self, connection_count: int) -> None:
        """Close the connection that has been idle longest if there are too many."""
        if connection_count > self.limits.max_connections:
            next(iter(self.idle)).abort()


class _LingeringTransport:
    """asyncio's transport, but ``close`` keeps receiving while the client still sends."""

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        self._transport = transport
        self._connection = connection
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if not self._transport.is_closing():
            if self._is_closed or not self._connection.is_receiving:
                self._transport.close()
            else:
                self._close_sending_half()
                self._transport.resume_reading()
        self._is_closed = True

    def _close_sending_half(self) -> None:
        if not self._transport.can_write_eof():  # TLS
            self._connection.abort_at_pause()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client has reset the connection, and asyncio has not noticed yet
            self._transport.abort()

    def is_closing(self) -> bool:
        return self._is_closed or self._transport.is_closing()


class _PipeliningFlowControl(FlowControl):
    """uvicorn's flow control, but it does not resume reading while the buffer holds pipelined requests.

    uvicorn resumes after each body, so every pipelined request would read more bytes into the buffer than it consumes.
    """

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.has_pipelined_data:
            self._connection.enlarge_reads()
            super().resume_reading()


class Connection(H11Protocol, asyncio.BufferedProtocol):
    """uvicorn's HTTP/1.1 protocol with time, size and memory limits.

    ``BufferedProtocol`` is asyncio's public way to choose the size of each read.
    """

    def __init__(self, group: ConnectionGroup, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        limit_header_lines(self.conn)
        self._group = group
        self._limits = group.limits
        self._idle = group.idle
        self._timer: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._receives_until: float | None = None  # set once the connection closes at a pause of the client
        self._body_bytes_left = 0  # approximately, for a body of known length
        self._read_size = READ_SIZE
        self._buffer = memoryview(b"")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(cast("asyncio.Transport", _LingeringTransport(transport, self)))
        self.flow = _PipeliningFlowControl(self.transport, self)
        self._become_idle()
        self._group.close_excess(len(self.connections))

    def get_buffer(self, sizehint: int) -> memoryview:
        self._buffer = memoryview(bytearray(self._read_size))  # asyncio's TLS would write into slices of a bytearray
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data, self._buffer = self._buffer[:nbytes], memoryview(b"")
        self.data_received(cast("bytes", data))

    def data_received(self, data: bytes) -> None:
        """Parse ``data``, but drop bytes after the last request: h11 would reject even an empty line."""
        if self.scheme == "http" and self.cycle is None and data[:2] == _TLS_HANDSHAKE:
            self._group.protocol_log.tls_on_plain_port()
            self.send_400_response("This port speaks plain http.")  # h11's error would be a second warning
            return
        if self._closes_at_pause and self.is_receiving and not self._is_busy:
            self.abort_at_pause()  # a client that is cut off while sending does not read its response
        was_kept_alive = self._is_kept_alive
        if not (self.conn.their_state is h11.MUST_CLOSE or self.transport.is_closing()):
            super().data_received(data)
            self._body_bytes_left -= len(data)
            self._read_size = min(self._read_size, self._max_read_size)
        if was_kept_alive and self in self._idle and not self._is_draining:
            self._abort_after(self._limits.header_timeout_s)  # the head has begun

    def _should_upgrade(self) -> bool:
        return False  # uvicorn would log two warnings for each request that asks for an upgrade

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is h11.IDLE:
            self.flow.resume_reading()  # no pipelined request is left
        if self in self._idle and self._is_busy:
            self._become_busy()

    def on_response_complete(self) -> None:
        self._become_idle()
        # uvicorn closes a connection that receives nothing for this time after a response.
        limit_s = self._limits.header_timeout_s if self.is_receiving else self._limits.keep_alive_s
        self.timeout_keep_alive = limit_s  # type: ignore[assignment]
        super().on_response_complete()  # starts the next request if it has arrived already

    def send_400_response(self, msg: str) -> None:
        if self._is_busy:
            self._cancel_request()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # a response has been started or sent
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._is_draining = True
        if self._is_busy:  # the response asks the client to close, so that it sends no further request
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]
            super().shutdown()
        else:
            self._become_idle()

    def abort(self) -> None:
        """Close at once, without a response; drop unsent data."""
        self.transport.abort()
        self._idle.pop(self, None)
        self.connections.discard(self)

    def abort_at_pause(self) -> None:
        """Close once no bytes arrive for a moment, at the latest after ``deadline_s``."""
        now = self.loop.time()
        if self._receives_until is None:
            self._receives_until = now + self._limits.deadline_s
        pause_s = BODY_DRAIN_S if self._is_draining else TLS_PAUSE_S
        self._abort_after(min(pause_s, self._receives_until - now))

    def enlarge_reads(self) -> None:
        """Use large reads for the rest of a body, once the application reads it. Queued requests keep small ones."""
        self._read_size = self._max_read_size

    @property
    def has_pipelined_data(self) -> bool:
        """Whether bytes follow the completed request."""
        is_complete = self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}
        return is_complete and self.conn.trailing_data[0] != b""

    @property
    def is_receiving(self) -> bool:
        """Whether the client may still send: its body is incomplete, or it sent invalid or pipelined data."""
        return self.conn.their_state in {h11.SEND_BODY, h11.ERROR} or self.has_pipelined_data

    @property
    def _has_had_request(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None

    @property
    def _is_busy(self) -> bool:
        return self._has_had_request and not self.cycle.response_complete

    @property
    def _is_kept_alive(self) -> bool:
        """Whether no byte has arrived since the last request and its response."""
        return self._has_had_request and self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    @property
    def _max_read_size(self) -> int:
        return min(max(self._body_bytes_left, READ_SIZE), _BODY_READ_SIZE)

    def _become_busy(self) -> None:
        del self._idle[self]
        self._abort_after(2 * self._limits.deadline_s)
        self._body_bytes_left = int(dict(self.headers).get(b"content-length", 0))
        if {b"content-length", b"transfer-encoding"}.issubset(name for name, _ in self.headers):
            self.send_400_response("Ambiguous length.")  # a proxy may have used the other length

    def _become_idle(self) -> None:
        self._idle.pop(self, None)
        self._idle[self] = None
        if self.is_receiving:
            if self._closes_at_pause:
                self.abort_at_pause()
            else:
                self._abort_after(self._limits.deadline_s)
        else:
            limit_s = self._limits.keep_alive_s if self._has_had_request else self._limits.header_timeout_s
            self._abort_after(IDLE_DRAIN_S if self._is_draining else limit_s)

    def _cancel_request(self) -> None:
        """Report a disconnect to the application, which then cancels its work and sends no second response."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self.cycle.response_complete = True
        self._become_idle()

    @property
    def _closes_at_pause(self) -> bool:
        """Whether a client that still sends after its response is closed once it pauses."""
        return self._is_draining or (self.scheme == "https" and self.transport.is_closing())

    def _abort_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.abort)
