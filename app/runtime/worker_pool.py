"""One thread budget: how many workers, how many threads inside each model run.

A session has one pool of ``intra_op - 1`` helpers, and every run uses the thread that calls it and what helpers are
free. So each core gets a worker, and the helpers are as many as the two pictures of a lone comparison leave idle.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple, ParamSpec, Self, TypeVar

from app.runtime.batcher import MAX_BATCH_SIZE

_P = ParamSpec("_P")
_R = TypeVar("_R")

_AT_ONCE = 2
"""Pictures of a comparison."""

_MOST_INTRA_OP = 4
"""Small face models gain little from more threads in one run."""

_WORKERS_PER_CORE = 4
"""With a GPU: one decodes or detects, the others wait for the device."""


class ThreadBudget(NamedTuple):
    """``workers`` pictures at a time, each with at most ``intra_op`` threads in a model run."""

    workers: int
    intra_op: int


def thread_budget(cores: int, device: str = "cpu") -> ThreadBudget:
    """Split ``cores`` between workers and the threads of one model run."""
    if device != "cpu":
        # One batch on the device and one that forms; a picture at work may take 50 MB.
        return ThreadBudget(workers=min(_WORKERS_PER_CORE * cores, 2 * MAX_BATCH_SIZE), intra_op=1)
    idle = max(0, cores - _AT_ONCE)
    return ThreadBudget(workers=max(_AT_ONCE, cores), intra_op=min(1 + idle, _MOST_INTRA_OP))


def pinned_cpus(cores: int, device: str) -> tuple[int, ...]:
    """Return the CPUs that workers keep to, one each; none where the system had better choose.

    On two cores Linux often lets the second picture of a comparison wait behind the first while the other core is idle,
    for milliseconds. Where there are more cores it has more to choose from.
    """
    if device != "cpu" or not hasattr(os, "sched_getaffinity"):
        return ()
    allowed = os.sched_getaffinity(0)
    if not len(allowed) == cores == _AT_ONCE:
        return ()
    try:
        os.sched_setaffinity(0, allowed)  # to see whether we may
    except OSError:
        return ()
    return tuple(sorted(allowed))


def available_cores(root: Path = Path("/")) -> int:
    """Whole cores this process may use: its CPU affinity, capped by the quotas of its cgroup and of all above it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quotas = [quota for folder in _cgroups(root) if (quota := _quota(folder))]
    except (OSError, ValueError, IndexError):
        return cores  # no cgroups here
    return max(1, min([cores, *map(int, quotas)]))


def _cgroups(root: Path) -> Iterator[Path]:
    """Folders of the cgroups that bound this process's CPU time, in the hierarchies of version 2 and 1.

    ``/proc/self/mountinfo`` says which cgroup is mounted where, ``/proc/self/cgroup`` which one is ours.
    """
    own = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), PurePosixPath(path)))
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        top, point = mount.split()[3:5]
        kind, _, options = filesystem.split(" ", 2)
        controller = {"cgroup2": "", "cgroup": "cpu"}.get(kind)
        if controller not in own or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        mounted = root / point.lstrip("/")
        # In a container ours may be told as the host sees it, and only its own part be mounted: then at the top.
        inside = own[controller].relative_to(top) if own[controller].is_relative_to(top) else PurePosixPath()
        yield from (mounted / part for part in (inside, *inside.parents))


def _quota(folder: Path) -> float | None:
    """Cores that a cgroup grants (version 2 ``cpu.max``, version 1 ``cfs``), or ``None`` where it sets no bound."""
    if (folder / "cpu.max").exists():
        limit, period = (folder / "cpu.max").read_text().split()
    elif (folder / "cpu.cfs_quota_us").exists():
        limit = (folder / "cpu.cfs_quota_us").read_text().strip()
        period = (folder / "cpu.cfs_period_us").read_text().strip()
    else:
        return None
    return int(limit) / int(period) if limit not in {"max", "-1"} else None


def _keep_to_one(free: queue.SimpleQueue[int]) -> None:
    """Keep the calling thread to the next core of ``free``, where there is one and it is still ours."""
    with suppress(queue.Empty, OSError):
        core = free.get_nowait()
        os.sched_setaffinity(0, {core})


class WorkerPool(AbstractContextManager["WorkerPool"]):
    """The pool on which pictures are decoded and models run; the event loop only waits."""

    def __init__(self, budget: ThreadBudget, cores: Iterable[int] = ()) -> None:
        """``cores``: the CPUs that workers keep to, one each, as :func:`pinned_cpus` returns them."""
        free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for core in cores:
            free.put(core)
        self._pool = ThreadPoolExecutor(
            budget.workers, thread_name_prefix="worker", initializer=_keep_to_one, initargs=(free,)
        )
        self._workers = budget.workers
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
        try:
            return await asyncio.wrap_future(work)
        finally:
            del work  # an error would hold it, and it the error with all its frames, pictures among them

    def _finished(self, _: object) -> None:
        """Called where the work was done: who left does not end work that runs, and it still counts."""
        with self._lock:
            self._at_hand -= 1

    def would_queue(self, more: int) -> bool:
        """Whether some of the work at hand and ``more`` would wait for a worker."""
        return self._at_hand + more > self._workers
