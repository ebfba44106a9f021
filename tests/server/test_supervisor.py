"""Server processes behind one address, with real processes and sockets."""

import asyncio
import errno
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from app.server.config import bind
from app.server.server_process import StartProcess
from app.server.supervisor import ReportLimits, Supervisor
from tests.server import processes

_REPORT_LIMITS = ReportLimits(processes.REPORT_INTERVAL_S, max_missed=10)
_KILL_DELAY_S = _REPORT_LIMITS.interval_s * _REPORT_LIMITS.max_missed
_NO_KILLS = ReportLimits(processes.REPORT_INTERVAL_S, max_missed=1000)


class _Running:
    """A running supervisor of two processes."""

    def __init__(self, listener: socket.socket) -> None:
        self._port = listener.getsockname()[1]
        self.announcements: list[str] = []
        self.exited: list[int] = []
        self.connections: list[HTTPConnection] = []

    def on_exit(self, number: int, process_id: int) -> None:
        assert number in {0, 1}
        self.exited.append(process_id)

    def connect(self) -> HTTPConnection:
        self.connections.append(HTTPConnection("127.0.0.1", self._port, timeout=20))
        return self.connections[-1]

    def send_request(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client

    async def answer(self, connection: HTTPConnection, path: str = "/") -> int:
        """Return the ID of the process that answers."""
        return await asyncio.to_thread(_get, connection, path)


def _get(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    return int(connection.getresponse().read())


async def _wait_until(condition: Callable[[], bool]) -> None:
    """Wait for processes to start or exit; on a busy machine that takes long."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)


def _status_line(client: socket.socket) -> bytes:
    with client:
        return client.recv(1000).partition(b"\r\n")[0]


def _open_pipes() -> int:
    folder = Path("/proc/self/fd")
    return sum(str(file.readlink()).startswith("pipe:") for file in folder.iterdir() if file.is_symlink())


@asynccontextmanager
async def _supervised(
    start: StartProcess = processes.start, report_limits: ReportLimits = _NO_KILLS
) -> AsyncIterator[tuple[_Running, asyncio.Task[int]]]:
    with bind("127.0.0.1", 0) as listener:
        running = _Running(listener)
        supervisor = Supervisor([listener], start, 2, 0.1, running.on_exit, report_limits)
        task = asyncio.create_task(_run(supervisor, running))
        try:
            await _wait_until(lambda: bool(running.announcements) or task.done())
            yield running, task
        finally:
            for connection in running.connections:
                connection.close()
            if not task.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await task


async def _run(supervisor: Supervisor, running: _Running) -> int:
    """Return the exit status; that of a shell after Ctrl-C, because pytest would stop at the exception."""
    try:
        return await supervisor.run(running.announcements.append)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


_KILLED = {"exit_status": -9, "signal": "SIGKILL", "hint": "perhaps killed for lack of memory"}


def _exits(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the fields of the log lines about processes that exited."""
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    return [values for values in fields if "exit_status" in values]


async def test_connections_are_spread_evenly_and_stay_with_their_process() -> None:
    async with _supervised() as (running, _):
        connections = [running.connect() for _ in range(8)]
        answers = [await running.answer(connection) for connection in connections]
        assert sorted(Counter(answers).values()) == [4, 4]
        assert [await running.answer(connection) for connection in connections] == answers
        assert running.announcements == ["ready"]


async def test_a_new_connection_goes_to_the_process_with_fewer_open_ones() -> None:
    async with _supervised() as (running, _):
        kept = running.connect()
        busy_process = await running.answer(kept)
        for _ in range(4):
            short = running.connect()
            assert await running.answer(short) != busy_process
            short.close()
            await asyncio.sleep(0.1)


async def test_a_killed_process_is_replaced_and_only_its_connections_are_lost(caplog: pytest.LogCaptureFixture) -> None:
    async with _supervised() as (running, _):
        first, second = running.connect(), running.connect()
        killed, survivor = await running.answer(first), await running.answer(second)
        os.kill(killed, signal.SIGKILL)
        await _wait_until(lambda: running.exited == [killed])
        with pytest.raises((HTTPException, OSError)):
            await running.answer(first)
        assert await running.answer(second) == survivor
        assert "server process exited, starting another one" in caplog.text
        assert _exits(caplog) == [{"process_id": killed, **_KILLED}]
        await _wait_until(lambda: len(list(processes.running_children())) >= 3)  # with Python's resource tracker
        answers = set[int]()
        async with asyncio.timeout(60):
            while len(answers - {survivor}) == 0:
                connection = running.connect()
                answers.add(await running.answer(connection))
        assert killed not in answers


async def test_a_process_that_is_terminated_alone_answers_its_requests_and_is_replaced() -> None:
    async with _supervised() as (running, _):
        first, second = running.connect(), running.connect()
        terminated, survivor = await running.answer(first), await running.answer(second)
        pipes = _open_pipes()
        slow = asyncio.create_task(running.answer(first, "/slow"))
        await asyncio.sleep(processes.SLOW_S / 4)
        os.kill(terminated, signal.SIGTERM)
        assert await slow == terminated
        await _wait_until(lambda: running.exited == [terminated])
        assert await running.answer(running.connect()) == survivor
        assert _open_pipes() == pipes


async def test_a_process_that_cannot_be_started_at_once_is_started_later(caplog: pytest.LogCaptureFixture) -> None:
    started: list[int] = []

    def start(number: int, channel: socket.socket) -> BaseProcess:
        started.append(number)
        if len(started) == 3:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # as `fork` without a free process
        return processes.start(number, channel)

    async with _supervised(start) as (running, _):
        os.kill(await running.answer(running.connect()), signal.SIGKILL)
        await _wait_until(lambda: len(started) == 4)
        assert started[2] == started[3]
        assert "server process could not be started" in caplog.text


async def test_a_connection_that_waits_while_no_process_is_left_does_not_delay_the_shutdown() -> None:
    started: list[int] = []

    def start(number: int, channel: socket.socket) -> BaseProcess:
        started.append(number)
        if len(started) > 2:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return processes.start(number, channel)

    async with _supervised(start) as (running, task):
        for process in [await running.answer(running.connect()) for _ in range(2)]:
            os.kill(process, signal.SIGKILL)
        await _wait_until(lambda: len(running.exited) == 2)
        with await asyncio.to_thread(running.send_request):
            await asyncio.sleep(0.2)
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await task == 0


async def test_an_error_of_the_supervisor_ends_the_processes() -> None:
    def announce(_: str) -> None:
        raise BrokenPipeError

    with bind("127.0.0.1", 0) as listener:
        running = _Running(listener)
        with pytest.raises(BrokenPipeError):
            await Supervisor([listener], processes.start, 2, 0, running.on_exit).run(announce)
        await _wait_until(lambda: len(running.exited) == 2)


async def test_connections_that_wait_for_a_process_at_the_shutdown_are_answered() -> None:
    async with _supervised() as (running, task):
        kept = [running.connect() for _ in range(2)]
        stopped = [await running.answer(connection) for connection in kept]
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        clients = [await asyncio.to_thread(running.send_request) for _ in range(600)]  # more than the channels hold
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.6)
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        answers = [await asyncio.to_thread(_status_line, client) for client in clients]
        assert set(answers) == {b"HTTP/1.1 200 OK"}
        assert await task == 0


async def test_a_request_in_process_at_the_shutdown_is_answered() -> None:
    async with _supervised() as (running, task):
        connection = running.connect()
        process = await running.answer(connection)
        slow = asyncio.create_task(running.answer(connection, "/slow"))
        await asyncio.sleep(processes.SLOW_S / 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await slow == process
        assert await task == 0
        assert len(running.exited) == 2


async def test_a_process_that_cannot_start_ends_the_supervisor_with_its_exit_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with _supervised(processes.start_failing) as (running, task):
        assert await task == 4
        assert running.announcements == []
    (fields,) = _exits(caplog)
    assert fields["exit_status"] == 4


async def test_a_process_that_is_killed_while_it_starts_ends_the_supervisor_with_one_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    started: list[BaseProcess] = []

    def start(number: int, channel: socket.socket) -> BaseProcess:
        started.append(processes.start_hanging(number, channel))
        return started[-1]

    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(Supervisor([listener], start, 2, 0).run(lambda _: None))
        await _wait_until(lambda: bool(started))
        process_id = started[0].pid
        started[0].kill()
        assert await task == 128 + signal.SIGKILL
    assert _exits(caplog) == [{"process_id": process_id, **_KILLED}]


@pytest.mark.parametrize("is_killed_first", [True, False])
async def test_a_process_that_is_lost_at_the_shutdown_is_logged_once(
    is_killed_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with _supervised() as (running, task):
        process = await running.answer(running.connect())
        signals = [(process, signal.SIGKILL), (os.getpid(), signal.SIGTERM)]
        for process_id, number in signals if is_killed_first else reversed(signals):
            os.kill(process_id, number)
        assert await task == 0
    assert _exits(caplog) == [{"process_id": process, **_KILLED}]


async def test_a_signal_before_all_processes_are_ready_stops_the_start_without_an_announcement(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def start(number: int, channel: socket.socket) -> BaseProcess:
        if number:
            os.kill(os.getpid(), signal.SIGTERM)
        return processes.start(number, channel)

    async with _supervised(start) as (running, task):
        assert await task == 0
        assert running.announcements == []
    assert _exits(caplog) == []


@pytest.mark.parametrize("path", ["/", "/hang"], ids=["stopped", "blocked"])
async def test_a_process_that_hangs_gets_no_connections_and_is_replaced(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with _supervised(report_limits=_REPORT_LIMITS) as (running, _):
        kept, lost = running.connect(), running.connect()
        survivor, hung = await running.answer(kept), await running.answer(lost)
        if path == "/":
            os.kill(hung, signal.SIGSTOP)
        reply = asyncio.create_task(running.answer(lost, path))
        await asyncio.sleep(5 * processes.REPORT_INTERVAL_S)  # three reports are missing, perhaps a fourth
        assert {await running.answer(running.connect()) for _ in range(8)} == {survivor}
        with pytest.raises((HTTPException, OSError)):
            await reply
        await _wait_until(lambda: running.exited == [hung])
        assert [record.levelname for record in caplog.records if "hangs" in record.message] == ["ERROR"]
        assert _exits(caplog) == [{"process_id": hung, "exit_status": -9, "signal": "SIGKILL"}]
        assert await running.answer(kept) == survivor
        async with asyncio.timeout(60):
            while await running.answer(running.connect()) == survivor:
                pass


async def test_a_process_that_computes_for_long_is_not_killed_and_replies_during_the_shutdown() -> None:
    async with _supervised(report_limits=_REPORT_LIMITS) as (running, task):
        connection = running.connect()
        process = await running.answer(connection)
        for is_shutdown in (False, True):
            busy = asyncio.create_task(running.answer(connection, "/busy"))
            await asyncio.sleep(0.5)
            if is_shutdown:
                os.kill(os.getpid(), signal.SIGTERM)
            assert await busy == process
        assert await task == 0


async def test_no_process_is_killed_after_the_whole_machine_was_suspended() -> None:
    async with _supervised(report_limits=_REPORT_LIMITS) as (running, _):
        answers = [await running.answer(running.connect()) for _ in range(2)]
        for process in answers:
            os.kill(process, signal.SIGSTOP)
        time.sleep(_KILL_DELAY_S + 0.5)  # noqa: ASYNC251 - the supervisor must not run
        for process in answers:
            os.kill(process, signal.SIGCONT)
        await asyncio.sleep(3 * processes.REPORT_INTERVAL_S)
        assert [await running.answer(connection) for connection in running.connections] == answers
        assert running.exited == []


async def test_a_process_that_hangs_does_not_prevent_the_shutdown() -> None:
    async with _supervised(report_limits=_REPORT_LIMITS) as (running, task):
        answers = [await running.answer(running.connect()) for _ in range(2)]
        os.kill(answers[0], signal.SIGSTOP)
        slow = asyncio.create_task(running.answer(running.connections[1], "/slow"))
        await asyncio.sleep(processes.SLOW_S / 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await slow == answers[1]
        async with asyncio.timeout(30):
            assert await task == 0
        assert sorted(running.exited) == sorted(answers)


async def test_a_process_that_hangs_while_it_starts_is_killed_only_at_the_shutdown() -> None:
    with bind("127.0.0.1", 0) as listener:
        limits = ReportLimits(processes.REPORT_INTERVAL_S, max_missed=2)
        supervisor = Supervisor([listener], processes.start_hanging, 2, 0, report_limits=limits)
        task = asyncio.create_task(supervisor.run(lambda _: None))
        await asyncio.sleep(1)
        assert not task.done()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await task == 0


async def test_a_second_ctrl_c_kills_a_process_that_hangs() -> None:
    async with _supervised() as (running, task):
        answers = [await running.answer(running.connect()) for _ in range(2)]
        os.kill(answers[0], signal.SIGSTOP)
        await asyncio.sleep(5 * processes.REPORT_INTERVAL_S)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            assert await task == 128 + signal.SIGINT
        assert sorted(running.exited) == sorted(answers)
