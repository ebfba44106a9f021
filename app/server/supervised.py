"""A server that receives its connections from the supervisor instead of a listener."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from app.server import channel
from app.server.channel import Load, LostConnectionError
from app.server.server import Server

_log = logging.getLogger(__name__)


class SupervisedServer(Server):
    """The server of one of several processes.

    It stops at SIGTERM, or when the supervisor exits, and accepts connections until the supervisor closes the channel.
    The supervisor does so at the end of its own shutdown, or at once if it has not sent the signal.
    """

    def __init__(
        self,
        configs: Sequence[uvicorn.Config],
        connections: socket.socket,
        announcement: str,
        report_interval_s: float = channel.REPORT_INTERVAL_S,
    ) -> None:
        """``announcement`` is sent to the supervisor once the server is ready."""
        super().__init__(configs, readiness_delay_s=0)
        self._channel = connections
        self._announcement = announcement
        self._report_interval_s = report_interval_s
        self._received = 0
        self._last_received = asyncio.Event()
        self._handovers: set[asyncio.Task[None]] = set()
        self.server_state.connections = _ObservedSet(self._report_load)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        if not self.started:  # the application failed to start
            return
        try:
            channel.send_announcement(self._channel, self._announcement)
        except OSError:  # `_receive` stops the server
            _log.error("the supervisor has exited")
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel, self._receive)
        self._report_regularly()

    async def stop_accepting(self, sockets: list[socket.socket]) -> None:
        self._report_load()
        await self._last_received.wait()
        await asyncio.gather(*self._handovers, return_exceptions=True)

    def _receive(self) -> None:
        """Take over the next connection. One per call, so that the other processes get their share of a burst."""
        try:
            received = channel.receive_connection(self._channel)
        except BlockingIOError:
            return
        except LostConnectionError:
            self._received += 1
            self._report_load()
            return
        except OSError:
            received = None  # the supervisor was killed
        if received is None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._last_received.set()
            self.should_exit = True
            return
        self._received += 1
        handover = asyncio.create_task(self._serve_connection(*received))
        self._handovers.add(handover)
        handover.add_done_callback(self._handovers.discard)

    async def _serve_connection(self, index: int, connection: socket.socket) -> None:
        connection.setblocking(False)
        create_protocol = partial(self.create_protocol, index)
        with suppress(OSError):  # the client has disconnected
            await asyncio.get_running_loop().connect_accepted_socket(create_protocol, connection)
        self._report_load()

    def _report_regularly(self) -> None:
        """Report the load until the event loop ends, so that the supervisor sees that it runs."""
        self._report_load()
        asyncio.get_running_loop().call_later(self._report_interval_s, self._report_regularly)

    def _report_load(self) -> None:
        load = Load(self._received, len(self.server_state.connections), is_stopping=self.should_exit)
        with suppress(OSError):  # a later report follows, or the supervisor has exited
            channel.send_load(self._channel, load)


class _ObservedSet(set[Any]):
    """A set that calls a function after each addition and removal."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change

    def add(self, element: object) -> None:
        super().add(element)
        self._on_change()

    def discard(self, element: object) -> None:
        super().discard(element)
        self._on_change()
