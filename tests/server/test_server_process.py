"""A server process, as the supervisor sees it; test_supervisor.py has several of them."""

import asyncio
import signal

from app.server.server_process import ServerProcess
from tests.server import processes


async def test_the_next_report_ends_the_missed_ones() -> None:
    process = ServerProcess(0, processes.start, lambda: None)
    assert await process.becomes_ready()
    process.missed_reports = 2
    assert not process.is_late
    process.missed_reports = 3
    assert process.is_late
    async with asyncio.timeout(20):
        while process.missed_reports:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.1)
    assert not process.is_late
    process.send_signal(signal.SIGKILL)
    assert await process.exited() == -signal.SIGKILL
    assert process.was_ready
    assert not process.is_ready
