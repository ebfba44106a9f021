"""Several server processes behind one address: the supervisor accepts connections and starts the processes.

Python runs one thread at a time, so one process cannot use many cores. The supervisor passes each connection to the
process with the fewest open ones. A listener shared by all processes would not balance them: the kernel wakes any of
them, and clients keep their connections.

A process that exits is replaced. Its connections are lost, and clients see a connection error, which they may retry.
The steps of the shutdown are those of ``app.server.server``.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from app.server import channel
from app.server.channel import Load
from app.server.server import LISTEN_BACKLOG, accept_pending, drop_all_connection_attempts

_RESTART_DELAY_S = 1.0
"""Seconds before a process is replaced that exited while it started."""
_ACCEPT_RETRY_S = 0.1
"""Seconds before the next connection is accepted after an error, such as too many open files."""

_log = logging.getLogger(__name__)

StartProcess: TypeAlias = Callable[[int, socket.socket], BaseProcess]
"""Starts the server process with this number and its end of the channel. A replacement has the same number."""


class Supervisor:
    """Runs server processes until a signal arrives. Belongs to one event loop."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        start: StartProcess,
        count: int,
        readiness_delay_s: float,
        on_exit: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``listeners`` are bound, not listening; ``on_exit`` gets the process ID of every process that exited."""
        self._listeners = listeners
        self._start = start
        self._count = count
        self._readiness_delay_s = readiness_delay_s
        self._on_exit = on_exit
        self._running: set[_ServerProcess] = set()
        self._changed = asyncio.Event()
        """A process has become ready or has less load, so a connection may be offered again."""
        self._stop, self._force = asyncio.Event(), asyncio.Event()
        self._stop_signal: int | None = None

    async def run(self, announce: Callable[[str], None]) -> int:
        """Run until SIGTERM or SIGINT, then return 0; call ``announce`` once all processes are ready.

        The first process starts alone, so that it reports a wrong setting once. If it does not become ready, return its
        exit status.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._receive_signal, number)
        try:
            status = await self._run(announce)
        finally:  # after an error the processes would run on
            self._stop.set()
            for process in self._running:
                process.close_channel()
        if self._stop_signal == signal.SIGINT:
            raise KeyboardInterrupt
        return 0 if self._stop_signal else status

    async def _run(self, announce: Callable[[str], None]) -> int:
        first = self._start_process(0)
        if not await first.becomes_ready():
            return await first.exited()
        others = [self._start_process(number) for number in range(1, self._count)]
        keepers = [asyncio.create_task(self._keep(process)) for process in (first, *others)]
        await asyncio.gather(*(process.becomes_ready() for process in others))
        dispatchers = []
        for index, listener in enumerate(self._listeners):
            listener.setblocking(False)
            listener.listen(LISTEN_BACKLOG)
            dispatchers.append(asyncio.create_task(self._dispatch_all(index, listener)))
        announce(first.announcement)
        await self._stop.wait()
        await self._shut_down(dispatchers)
        await asyncio.gather(*keepers)
        return 0

    def _start_process(self, number: int) -> "_ServerProcess":
        process = _ServerProcess(number, self._start, self._changed.set)
        self._running.add(process)
        return process

    def _receive_signal(self, number: int) -> None:
        """Stop the processes; a second SIGINT makes them skip the rest of their shutdown."""
        is_first = not self._stop.is_set()
        if is_first:
            self._stop_signal = number
            self._stop.set()
            self._changed.set()  # if no process is left, waiting connections are closed
        elif number == signal.SIGINT:
            self._force.set()
        else:
            return
        for process in self._running:
            process.send_signal(signal.SIGTERM if is_first else signal.SIGINT)

    async def _keep(self, process: "_ServerProcess") -> None:
        """Replace ``process`` and its successors when they exit, until the shutdown."""
        while True:
            status = await process.exited()
            self._running.discard(process)
            self._on_exit(process.pid)
            if self._stop.is_set():
                return
            _log.error(
                "server process exited, starting another one",
                extra={"fields": {"process_id": process.pid, "exit_status": status}},
            )
            if not process.was_ready and await self._stops_within(_RESTART_DELAY_S):
                return
            while (successor := self._try_to_start(process.number)) is None:
                if await self._stops_within(_RESTART_DELAY_S):
                    return
            process = successor

    def _try_to_start(self, number: int) -> "_ServerProcess | None":
        try:
            return self._start_process(number)
        except OSError as error:  # such as too many processes
            _log.error("server process could not be started", extra={"fields": {"reason": error.strerror}})
            return None

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._stop.wait(), seconds)
        return False

    async def _dispatch_all(self, index: int, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # the client has disconnected, or no file descriptor is left
                await asyncio.sleep(_ACCEPT_RETRY_S)
                continue
            handover = asyncio.create_task(self._dispatch(index, connection))
            try:
                await asyncio.shield(handover)
            finally:  # if the shutdown cancels this task, the connection is still passed on
                await handover

    async def _dispatch(self, index: int, connection: socket.socket) -> None:
        """Pass ``connection`` to the ready process with the fewest open connections; wait until there is one.

        If none is left at the shutdown, close the connection.
        """
        with connection:
            while not self._offer(index, connection):
                if self._stop.is_set() and not self._ready():
                    return
                self._changed.clear()
                await self._changed.wait()

    def _offer(self, index: int, connection: socket.socket) -> bool:
        return any(process.offer(index, connection) for process in sorted(self._ready(), key=_open_connections))

    def _ready(self) -> "list[_ServerProcess]":
        return [process for process in self._running if process.is_ready]

    async def _shut_down(self, dispatchers: Iterable[asyncio.Task[None]]) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._force.wait(), self._readiness_delay_s)
        await drop_all_connection_attempts(self._listeners)
        for dispatcher in dispatchers:
            dispatcher.cancel()
        await asyncio.gather(*dispatchers, return_exceptions=True)
        for index, listener in enumerate(self._listeners):
            for connection in accept_pending(listener):
                await self._dispatch(index, connection)
            listener.close()
        for process in self._running:
            process.close_channel()


def _open_connections(process: "_ServerProcess") -> int:
    return process.open_connections


class _ServerProcess:
    """A server process and the supervisor's end of its channel. ``announcement`` is empty until it is ready."""

    def __init__(self, number: int, start: StartProcess, on_change: Callable[[], None]) -> None:
        """``on_change`` is called when the process becomes ready, has less load or exits."""
        self._channel, theirs = channel.pair()
        with theirs:
            try:
                self._process = start(number, theirs)
            except OSError:
                self._channel.close()
                raise
        self.number = number
        self.pid = self._process.pid or 0
        self._on_change = on_change
        self.announcement = ""
        self._sent = 0
        self._load = Load(0, 0, is_stopping=False)
        self._is_signalled = False
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._ready: asyncio.Future[bool] = self._loop.create_future()
        self._loop.add_reader(self._process.sentinel, self._report_exit)
        self._loop.add_reader(self._channel, self._receive)

    @property
    def was_ready(self) -> bool:
        return bool(self.announcement)

    @property
    def is_ready(self) -> bool:
        return self.was_ready and not self._exited.done()

    @property
    def open_connections(self) -> int:
        """The open connections, with those that the process has not received yet."""
        return self._sent - self._load.received + self._load.open

    async def becomes_ready(self) -> bool:
        """Wait until the process is ready or has exited; return whether it is ready."""
        return await asyncio.shield(self._ready)

    async def exited(self) -> int:
        """Return the exit status, once the process has exited; negative for a signal."""
        return await asyncio.shield(self._exited)

    def offer(self, index: int, connection: socket.socket) -> bool:
        """Send ``connection``; return False if the process cannot take it."""
        try:
            channel.send_connection(self._channel, index, connection)
        except OSError:
            return False
        self._sent += 1
        return True

    def send_signal(self, number: int) -> None:
        self._is_signalled = True
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close_channel(self) -> None:
        """Report that no further connection follows."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        try:
            if self.was_ready:
                load = channel.receive_load(self._channel)
                self._load = load or self._load
                is_open = load is not None
                if self._load.is_stopping and not self._is_signalled:
                    self.close_channel()
            else:
                self.announcement = self._channel.recv(channel.MAX_ANNOUNCEMENT_BYTES).decode()
                is_open = self.was_ready
                self._ready.set_result(is_open)
        except OSError:
            is_open = False
        if not is_open:
            self._loop.remove_reader(self._channel)  # the process exits
        self._on_change()

    def _report_exit(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._loop.remove_reader(self._channel)
        self._channel.close()
        self._process.join()
        self._exited.set_result(self._process.exitcode or 0)
        self._process.close()
        if not self._ready.done():
            self._ready.set_result(False)
        self._on_change()
