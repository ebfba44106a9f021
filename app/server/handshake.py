"""The TLS handshake of a connection, within the limits of connections.

asyncio creates the protocol of a TLS connection before the handshake, but reports only handshakes that succeed. So the
server accepts plain connections and upgrades each with ``loop.start_tls``. Until then, :class:`TlsHandshake` is the
protocol of the connection: it counts as idle, can be closed, and takes part in the shutdown.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any, cast

from app.server.certificate import Certificate
from app.server.connection import IDLE_DRAIN_S, READ_SIZE, Connection, ConnectionGroup

_BUFFER_SIZE = 32 * 1024
"""Bytes of received data, encrypted and then decrypted, that a TLS connection may hold besides its request."""

SSLProtocol.max_size = _BUFFER_SIZE  # asyncio allocates 256 KB per connection and has no option for it


class TlsHandshake(asyncio.BufferedProtocol):
    """The protocol of a connection until its handshake is complete."""

    def __init__(self, certificate: Certificate, group: ConnectionGroup, **uvicorn_arguments: Any) -> None:
        self._certificate = certificate
        self._group = group
        self._uvicorn_arguments = uvicorn_arguments
        self._connections: set[object] = uvicorn_arguments["server_state"].connections
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._early_bytes = 0
        self._drain_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()  # until `start_tls`
        self._connections.add(self)
        self._group.idle[self] = None
        self._task = self._loop.create_task(self._run())
        self._group.close_excess(len(self._connections))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Keep the bytes that arrive with the end of the handshake; asyncio reads once before :meth:`_hand_over`."""
        self._early_bytes = nbytes

    def shutdown(self) -> None:
        self._drain_timer = self._loop.call_later(IDLE_DRAIN_S, self.abort)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
        self._leave()

    async def _run(self) -> None:
        transport = None
        try:
            if not self._transport.is_closing():
                transport = await self._upgrade()
        except OSError as error:
            if isinstance(error, ssl.SSLError):  # otherwise the client disconnected or was too slow
                self._group.protocol_log.failed_handshake(error)
        finally:
            self._leave()
        if transport is not None:
            self._hand_over(transport)

    async def _upgrade(self) -> asyncio.Transport | None:
        """Return the transport of the TLS connection, or None if the connection was aborted."""
        return await self._loop.start_tls(
            self._transport,
            self,
            self._certificate.context(),
            server_side=True,
            ssl_handshake_timeout=self._group.limits.header_timeout_s,
        )

    def _hand_over(self, transport: asyncio.Transport) -> None:
        connection = Connection(self._group, **self._uvicorn_arguments)
        cast("Any", transport).set_read_buffer_limits(_BUFFER_SIZE)  # only TLS transports have it
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._drain_timer is not None:
            connection.shutdown()
        if self._early_bytes:
            connection.data_received(cast("bytes", self._buffer[: self._early_bytes]))

    def _leave(self) -> None:
        self._connections.discard(self)
        self._group.idle.pop(self, None)
        if self._drain_timer is not None:
            self._drain_timer.cancel()
