"""State, load and channel of a started server process, for the supervisor."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from app.server import channel
from app.server.channel import Load

_LATE_REPORTS = 3
"""Missed reports after which other processes should get the next connections."""

StartProcess: TypeAlias = Callable[[int, socket.socket], BaseProcess]
"""Starts the server process with this number and its end of the channel. A replacement has the same number."""


class ServerProcess:
    """A started server process. ``announcement`` is empty until it is ready."""

    def __init__(self, number: int, start: StartProcess, on_change: Callable[[], None]) -> None:
        """``on_change`` is called when the process becomes ready, reports its load or exits."""
        self._channel, theirs = channel.pair()
        with theirs:
            try:
                self._process = start(number, theirs)
            except OSError:
                self._channel.close()
                raise
        self.number = number
        self.pid: int = self._process.pid  # type: ignore[assignment] # it has started
        self._on_change = on_change
        self.announcement = ""
        self._missed_reports = 0
        self._sent = 0
        self._load = Load(0, 0, is_stopping=False)
        self._is_signalled = False
        self.was_killed = False
        """Whether the supervisor has killed it."""
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

    @property
    def is_late(self) -> bool:
        """Whether reports are missing, so that the process may hang."""
        return self._missed_reports >= _LATE_REPORTS

    def miss_report(self) -> int:
        """Count a report as missed until one arrives; return the number of reports missed in a row."""
        self._missed_reports += 1
        return self._missed_reports

    async def becomes_ready(self) -> bool:
        """Wait until the process is ready or has exited; return whether it is ready."""
        return await asyncio.shield(self._ready)

    async def exited(self) -> int:
        """Return the exit status, once the process has exited; negative for a signal."""
        return await asyncio.shield(self._exited)

    def exit_fields(self) -> dict[str, object]:
        """Return the log fields of a process that has exited: its status and, if a signal ended it, the signal."""
        status = self._exited.result()
        fields: dict[str, object] = {"process_id": self.pid, "exit_status": status}
        if status < 0:
            fields["signal"] = next((known.name for known in signal.Signals if known == -status), str(-status))
        if status == -signal.SIGKILL and not self.was_killed:
            fields["hint"] = "perhaps killed for lack of memory"
        return fields

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
        self.was_killed |= number == signal.SIGKILL
        if not self._exited.done():  # afterwards the ID may belong to another process
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
                self.announcement = channel.receive_announcement(self._channel) or ""
                is_open = self.was_ready
                self._ready.set_result(is_open)
            self._missed_reports = 0
        except BlockingIOError:
            return
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
        status = self._process.exitcode
        self._exited.set_result(1 if status is None else status)  # None: the program has lost the status
        self._process.close()
        if not self._ready.done():
            self._ready.set_result(False)
        self._on_change()
