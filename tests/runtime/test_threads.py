from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from app.runtime.threads import ThreadBudget, Workers, available_cores, thread_budget


@pytest.mark.parametrize(
    ("cores", "workers", "intra_op"), [(1, 2, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (8, 2, 4), (16, 4, 4), (64, 16, 4)]
)
def test_cores_are_split_between_workers_and_model_threads(cores: int, workers: int, intra_op: int) -> None:
    assert thread_budget(cores) == ThreadBudget(workers, intra_op)


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_the_cgroup_quota_caps_the_cores(tmp_path: Path, files: dict[str, str], most: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    affinity = len(os.sched_getaffinity(0))
    assert available_cores(tmp_path) == (affinity if most is None else min(affinity, most))


async def test_work_runs_off_the_event_loop_and_returns_its_result() -> None:
    with Workers(ThreadBudget(2, 1)) as workers:
        name = await workers.run(lambda: threading.current_thread().name)
    assert name.startswith("worker")


async def test_an_exception_of_the_work_reaches_the_caller() -> None:
    with Workers(ThreadBudget(2, 1)) as workers, pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 / 0)


async def test_work_that_is_cancelled_before_a_thread_takes_it_never_runs() -> None:
    release = threading.Event()
    ran: list[int] = []
    with Workers(ThreadBudget(1, 1)) as workers:
        running = asyncio.create_task(workers.run(release.wait))
        waiting = asyncio.create_task(workers.run(ran.append, 1))
        await asyncio.sleep(0.05)
        assert workers.is_busy
        waiting.cancel()
        await asyncio.sleep(0)
        assert not workers.is_busy
        release.set()
        await running
    assert ran == []


async def test_work_that_runs_counts_until_it_ends_even_if_nobody_waits_for_it() -> None:
    release = threading.Event()
    with Workers(ThreadBudget(1, 1)) as workers:
        left = [asyncio.create_task(workers.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        left[0].cancel()
        await asyncio.sleep(0.05)
        assert workers.is_busy, "one runs for nobody, one waits"
        release.set()
        await left[1]
        assert not workers.is_busy
