"""Several server processes behind one address: the supervisor accepts connections and starts the processes.

Python runs one thread at a time, so one process cannot use many cores. The supervisor passes each connection to the
process with the fewest open ones. A listener shared by all processes would not balance them: the kernel wakes any of
them, and clients keep their connections.

A process that exits is replaced. Its connections are lost, and clients see a connection error, which they may retry.
A process that hangs, so that its event loop sends no reports, is killed and replaced.
The steps of the shutdown are those of ``app.server.server``.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from app.server.channel import REPORT_INTERVAL_S
from app.server.server import LISTEN_BACKLOG, accept_pending, drop_all_connection_attempts
from app.server.server_process import ServerProcess, StartProcess

_RESTART_DELAY_S = 1.0
"""Seconds before a process is replaced that exited while it started."""
_ACCEPT_RETRY_S = 0.1
"""Seconds before the next connection is accepted after an error, such as too many open files."""
_REPORTED_STATUS = 1
"""Exit status of a process that has printed the reason."""
_REGULAR_STATUSES = (0, -signal.SIGTERM)
"""Exit statuses after SIGTERM; a process that is still starting does not handle the signal."""

_log = logging.getLogger(__name__)


class ReportLimits(NamedTuple):
    """A process that misses ``max_missed`` reports in a row, one every ``interval_s`` seconds, is killed.

    Half a minute by default, so that no process is killed because the machine is overloaded.
    """

    interval_s: float = REPORT_INTERVAL_S
    max_missed: int = 30


_REPORT_LIMITS = ReportLimits()


class Supervisor:
    """Runs server processes until a signal arrives. Belongs to one event loop."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        start: StartProcess,
        count: int,
        readiness_delay_s: float,
        on_exit: Callable[[int, int], None] = lambda *_: None,
        report_limits: ReportLimits = _REPORT_LIMITS,
    ) -> None:
        """``listeners`` are bound, not listening.

        ``on_exit`` gets the number and the process ID of every process that exited, before it is replaced.
        """
        self._listeners = listeners
        self._start = start
        self._count = count
        self._readiness_delay_s = readiness_delay_s
        self._on_exit = on_exit
        self._report_limits = report_limits
        self._running: set[ServerProcess] = set()
        self._changed = asyncio.Event()
        """A process has become ready or has less load, so a connection may be offered again."""
        self._stop, self._force = asyncio.Event(), asyncio.Event()
        self._stop_signal: int | None = None

    async def run(self, announce: Callable[[str], None]) -> int:
        """Run until SIGTERM or SIGINT, then return 0; call ``announce`` once all processes are ready.

        The first process starts alone, so that it reports a wrong setting once. If it does not become ready, return its
        exit status, or 128 + the number of the signal that ended it.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._receive_signal, number)
        watch = asyncio.create_task(self._watch())
        try:
            status = await self._run(announce)
        finally:  # after an error the processes would run on
            watch.cancel()
            self._stop.set()
            for process in self._running:
                process.close_channel()
        if self._stop_signal == signal.SIGINT:
            raise KeyboardInterrupt
        return 0 if self._stop_signal else status

    async def _run(self, announce: Callable[[str], None]) -> int:
        first = self._start_process(0)
        if not await first.becomes_ready():
            return await self._failed_start(first)
        others = [self._start_process(number) for number in range(1, self._count)]
        keepers = [asyncio.create_task(self._keep(process)) for process in (first, *others)]
        await asyncio.gather(*(process.becomes_ready() for process in others))
        dispatchers = []
        for index, listener in enumerate(self._listeners):
            listener.setblocking(False)
            listener.listen(LISTEN_BACKLOG)
            dispatchers.append(asyncio.create_task(self._dispatch_all(index, listener)))
        if not self._stop.is_set():
            announce(first.announcement)
        await self._stop.wait()
        await self._shut_down(dispatchers)
        await asyncio.gather(*keepers)
        return 0

    async def _failed_start(self, process: ServerProcess) -> int:
        status = await process.exited()
        if status != _REPORTED_STATUS and not self._stop.is_set():
            _log.error("server process exited while it started", extra={"fields": process.exit_fields()})
        return status if status >= 0 else 128 - status

    def _start_process(self, number: int) -> ServerProcess:
        process = ServerProcess(number, self._start, self._changed.set)
        self._running.add(process)
        return process

    def _receive_signal(self, number: int) -> None:
        """Stop the processes. A second SIGINT makes them skip the rest of their shutdown, and kills those that hang."""
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
            forced = signal.SIGKILL if process.is_late else signal.SIGINT
            process.send_signal(signal.SIGTERM if is_first else forced)

    async def _keep(self, process: ServerProcess) -> None:
        """Replace ``process`` and its successors when they exit, until the shutdown."""
        while True:
            status = await process.exited()
            self._running.discard(process)
            self._on_exit(process.number, process.pid)
            if self._stop.is_set():
                if status not in _REGULAR_STATUSES and not process.was_killed and not self._force.is_set():
                    _log.error("server process was lost during the shutdown", extra={"fields": process.exit_fields()})
                return
            _log.error("server process exited, starting another one", extra={"fields": process.exit_fields()})
            if not process.was_ready and await self._stops_within(_RESTART_DELAY_S):
                return
            while (successor := self._try_to_start(process.number)) is None:
                if await self._stops_within(_RESTART_DELAY_S):
                    return
            process = successor

    def _try_to_start(self, number: int) -> ServerProcess | None:
        try:
            return self._start_process(number)
        except OSError as error:  # such as too many processes
            _log.error("server process could not be started", extra={"fields": {"reason": error.strerror}})
            return None

    async def _watch(self) -> None:
        """Kill each process that misses too many reports; one that is still starting, only at the shutdown.

        Reports are counted, not seconds: while the machine or the supervisor is suspended, at most one is missed.
        """
        while True:
            await asyncio.sleep(self._report_limits.interval_s)
            for process in self._running:
                if not process.was_ready and not self._stop.is_set():
                    continue  # it sends no reports, and may need minutes to prepare the models for a GPU
                if process.miss_report() == self._report_limits.max_missed:
                    fields = {"process_id": process.pid, "missed_reports": self._report_limits.max_missed}
                    _log.error("server process hangs, killing it", extra={"fields": fields})
                    process.send_signal(signal.SIGKILL)

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
        return any(process.offer(index, connection) for process in sorted(self._ready(), key=_preference))

    def _ready(self) -> list[ServerProcess]:
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


def _preference(process: ServerProcess) -> tuple[bool, int]:
    """Return a key that sorts processes whose reports are late last, and others by their open connections."""
    return process.is_late, process.open_connections
