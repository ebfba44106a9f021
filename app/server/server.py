"""Server: uvicorn, but for how it begins and ends: nobody who was let in goes without a reply.

At the end, in this order: ``/readyz`` says no and replies ask for the connection to be closed, while requests are taken
as ever (``readiness_delay_s``, for balancers to look away); nobody new can connect, who has connected is let in, and the address
is given up; what is at work is finished (``drain_s``); what is left then is told so.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import time
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

_LINE = 1024
"""Connections that the kernel holds until they are accepted."""

AT_ONCE = 32
"""Connections that asyncio accepts in one turn of its loop, before it looks at any of them."""

TOO_MANY = 4 * AT_ONCE
"""Connections beyond the bound that may be open for a moment: one is known, and closed, some turns after it came."""

_ATTACH_FILTER = 26
"""SO_ATTACH_FILTER of Linux (asm-generic/socket.h); Python has no name for it."""

_NO_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x45, 0, 1, 0x02),  # is SYN among them?
        (0x06, 0, 0, 0),  # yes: drop the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # no: keep it
    )
)
"""A classic BPF program (linux/filter.h): nobody begins to connect, and who has begun goes on."""

_LOOKS_S = 0.1

_HANDSHAKE_S = 0.2
"""Seconds for connections that have begun to be made; longer than most round trips."""


class Server(uvicorn.Server):
    """One server; its configuration has ``backlog=AT_ONCE``."""

    def __init__(self, config: uvicorn.Config, readiness_delay_s: float) -> None:
        super().__init__(config)
        self._notice_s = readiness_delay_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_LINE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state["is_stopping"] = True
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        await self._wait(self._notice_s)
        for listener in sockets or ():
            take_no_more(listener)
        await asyncio.sleep(_HANDSHAKE_S)
        latecomers = [connection for listener in sockets or () for connection in _accepted(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in latecomers:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave the application to be cancelled, which ends in a traceback
            await self.lifespan.shutdown()

    async def _wait(self, seconds: float) -> None:
        """Wait, but not for who asks a second time to stop, by Ctrl-C."""
        until = time.monotonic() + seconds
        while not self.force_exit and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - uvicorn sets a flag
            await asyncio.sleep(min(left, _LOOKS_S))

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def take_no_more(listener: socket.socket) -> None:
    """Have the kernel ignore who begins to connect; it will be refused when it tries again, a second later.

    Otherwise who connects between the last look at the listener and its closing, which under load is milliseconds
    later, is let in by the kernel and then cut off. Where the kernel has no such filter (not Linux), that remains.
    """
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    count = len(_NO_SYN) // struct.calcsize("HBBI")
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))


def _accepted(listener: socket.socket) -> list[socket.socket]:
    """Return all who have connected and are not accepted yet."""
    connections = []
    with suppress(OSError):  # BlockingIOError: nobody else is there
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            connections.append(connection)
    return connections
