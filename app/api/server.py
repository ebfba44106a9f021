"""Server: uvicorn, but for how it begins and ends: nobody who was let in goes without a reply.

At the end, in this order: ``/readyz`` says no and replies ask for the connection to be closed, while requests are taken
as ever (``notice_s``, for balancers to look away); whoever has connected by then is let in, and the address is given
up; what is at work is finished (``drain_s``); what is left then is told so.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

_LINE = 1024
"""Connections that the kernel holds until they are accepted."""

AT_ONCE = 32
"""Connections that asyncio accepts in one turn of its loop, before it looks at any of them."""

TOO_MANY = 4 * AT_ONCE
"""Connections beyond the bound that may be open for a moment: one is known, and closed, some turns after it came."""


class Server(uvicorn.Server):
    """One server; its configuration has ``backlog=AT_ONCE``."""

    def __init__(self, config: uvicorn.Config, notice_s: float) -> None:
        super().__init__(config)
        self._notice_s = notice_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_LINE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state["is_leaving"] = True
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        await asyncio.sleep(self._notice_s)
        latecomers = [connection for listener in sockets or () for connection in _accepted(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in latecomers:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accepted(listener: socket.socket) -> list[socket.socket]:
    """Return all who have connected; who comes between this and the closing is refused by the kernel."""
    connections = []
    with suppress(OSError):  # BlockingIOError: nobody else is there
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            connections.append(connection)
    return connections
