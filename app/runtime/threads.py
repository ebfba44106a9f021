"""One thread budget: how many workers, how many threads inside each model run.

The two pictures of a comparison run side by side, so the cores are split into at least two workers.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, ParamSpec, Self, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MOST_INTRA_OP = 4
"""Small face models gain little from more threads in one run."""


class ThreadBudget(NamedTuple):
    """``workers`` pictures at a time, each with ``intra_op`` threads in a model run."""

    workers: int
    intra_op: int


def available_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may use: its CPU affinity, capped by the cgroup's quota (v2 ``cpu.max``, v1 ``cfs``)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(cores, int(quota))) if quota else cores


def _quota(cgroup: Path) -> float | None:
    try:
        if (cgroup / "cpu.max").exists():
            limit, period = (cgroup / "cpu.max").read_text().split()
        else:
            limit = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None  # no cgroup, or `max`: no quota


def thread_budget(cores: int) -> ThreadBudget:
    """Split ``cores`` between workers and the threads of one model run."""
    intra_op = max(1, min(_MOST_INTRA_OP, cores // 2))
    return ThreadBudget(workers=max(2, cores // intra_op), intra_op=intra_op)


class Workers(AbstractContextManager["Workers"]):
    """The pool on which pictures are decoded and models run; the event loop only waits."""

    def __init__(self, budget: ThreadBudget) -> None:
        self._pool = ThreadPoolExecutor(budget.workers, thread_name_prefix="worker")
        self._most = 2 * budget.workers
        self._at_hand = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def run(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run ``function`` on a worker thread and return its result; cancelled in time, it never runs."""
        work = self._pool.submit(function, *args, **kwargs)
        with self._lock:
            self._at_hand += 1
        work.add_done_callback(self._finished)
        return await asyncio.wrap_future(work)

    def _finished(self, _: object) -> None:
        """Called where the work was done: who left does not end work that runs, and it still counts."""
        with self._lock:
            self._at_hand -= 1

    @property
    def is_busy(self) -> bool:
        """Whether at least as much work waits as is being done."""
        return self._at_hand >= self._most
