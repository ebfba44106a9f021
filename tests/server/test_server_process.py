"""A started server process; test_supervisor.py has several of them."""

import asyncio
import signal

from app.server.server_process import ServerProcess
from tests.server import processes


async def test_a_report_resets_the_missed_reports() -> None:
    process = ServerProcess(0, processes.start, lambda: None)
    assert await process.becomes_ready()
    assert [process.miss_report() for _ in range(2)] == [1, 2]
    assert not process.is_late
    assert process.miss_report() == 3
    assert process.is_late
    async with asyncio.timeout(20):
        while process.is_late:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.1)
    assert process.miss_report() == 1
    process.send_signal(signal.SIGKILL)
    assert await process.exited() == -signal.SIGKILL
    assert process.was_ready
    assert not process.is_ready
