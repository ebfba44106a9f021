"""A uvicorn server with a graceful shutdown: every accepted connection receives a response.

Shutdown takes four steps:

1. ``/readyz`` returns 503, and responses ask clients to close the connection. For ``readiness_delay_s`` seconds the
   server still processes requests, so that load balancers can stop sending new ones.
2. The kernel drops new connection attempts. Established connections are accepted, then the listener closes.
3. Running requests have ``drain_s`` seconds to finish.
4. Requests that still run are cancelled; their response says that the service is being stopped.
"""

import asyncio
import ctypes
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

LISTEN_BACKLOG = 1024
"""Established connections that the kernel queues until the server accepts them."""

ACCEPT_BATCH = 32
"""Connections that asyncio accepts in one iteration of its loop; it reads from them in the next one."""

MAX_EXCESS_CONNECTIONS = 4 * ACCEPT_BATCH
"""Connections that may exceed the limit for a moment: the server closes one a few loop iterations after it arrives."""

_SO_ATTACH_FILTER = 26
"""Linux, asm-generic/socket.h; Python's ``socket`` module lacks it."""

_DROP_SYN = (
    struct.pack("HBBI", 0x30, 0, 0, 13)  # load the flags of the TCP header
    + struct.pack("HBBI", 0x45, 0, 1, 0x02)  # is SYN set?
    + struct.pack("HBBI", 0x06, 0, 0, 0)  # yes: drop the packet
    + struct.pack("HBBI", 0x06, 0, 0, 0xFFFFFFFF)  # no: keep the packet
)
"""A classic BPF program (linux/filter.h) that drops connection attempts and keeps all other packets."""

_POLL_S = 0.1

_HANDSHAKE_S = 0.2
"""Seconds for handshakes in progress to finish; longer than most round trips."""


class Server(uvicorn.Server):
    """A uvicorn server with a configuration for each of its listeners; all must have ``backlog=ACCEPT_BATCH``."""

    def __init__(self, configs: Sequence[uvicorn.Config], readiness_delay_s: float) -> None:
        """The first of ``configs`` starts and stops its application. The others share its state."""
        super().__init__(configs[0])
        self._configs = configs
        self._readiness_delay_s = readiness_delay_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        listeners = sockets or []
        await super().startup(listeners[:1])
        for config in self._configs[1:]:
            config.load()
        loop = asyncio.get_running_loop()
        for index, listener in enumerate(listeners[1:], start=1):
            create_protocol = partial(self.create_protocol, index)
            self.servers.append(await loop.create_server(create_protocol, sock=listener, backlog=ACCEPT_BATCH))
        for listener in listeners:
            listener.listen(LISTEN_BACKLOG)  # uvicorn's `backlog` is also asyncio's number of accepts per iteration

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state["is_draining"] = True
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        await self.stop_accepting(sockets or [])
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would skip this, and the application would end in a traceback
            await self.lifespan.shutdown()

    async def stop_accepting(self, listeners: list[socket.socket]) -> None:
        """Serve the connections that are established until the listeners close."""
        await self._sleep_unless_forced(self._readiness_delay_s)
        await drop_all_connection_attempts(listeners)
        pending = [
            (index, connection) for index, listener in enumerate(listeners) for connection in accept_pending(listener)
        ]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for index, connection in pending:
            await loop.connect_accepted_socket(partial(self.create_protocol, index), connection)

    async def _sleep_unless_forced(self, seconds: float) -> None:
        """Sleep, but return early when a second Ctrl-C sets ``force_exit``."""
        until = time.monotonic() + seconds
        while not self.force_exit and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - uvicorn sets a flag
            await asyncio.sleep(min(left, _POLL_S))

    def create_protocol(self, index: int) -> asyncio.Protocol:
        """Return the protocol of a new connection to the listener ``index``."""
        config = self._configs[index]
        return config.http_protocol_class(  # type: ignore[call-arg] # the arguments that uvicorn passes
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )


async def drop_all_connection_attempts(listeners: Iterable[socket.socket]) -> None:
    """Drop new connection attempts, and wait for handshakes in progress."""
    for listener in listeners:
        drop_connection_attempts(listener)
    await asyncio.sleep(_HANDSHAKE_S)


def drop_connection_attempts(listener: socket.socket) -> None:
    """Make the kernel drop new SYN packets; the client retries a second later and is refused.

    Without the filter, a connection made between the last ``accept`` and the closing of the listener would be reset.
    Systems other than Linux have no such filter, so a few connections may be reset there.
    """
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    count = len(_DROP_SYN) // struct.calcsize("HBBI")
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))


def accept_pending(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept all established connections that the kernel still queues."""
    with suppress(OSError):  # BlockingIOError: no connection is left
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
