"""The thread pool for image work, and its size: the number of workers, and of threads in one model run.

An onnxruntime session has ``intra_op - 1`` helper threads, shared by all of its runs, and each run also uses the thread
that calls it. So every core gets a worker, and the helpers use the cores that a single comparison leaves idle.
"""

import asyncio
import os
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, ParamSpec, TypeVar

from app.runtime.batcher import MAX_BATCH_SIZE

_P = ParamSpec("_P")
_R = TypeVar("_R")

IMAGES_PER_COMPARISON = 2

_MAX_INTRA_OP = 4
"""Small face models gain little from more threads in one run."""

_CORES_PER_PROCESS = 4
"""Python runs one thread at a time, and the networks of four cores keep it busy most of the time."""

_WORKERS_PER_CORE = 4
"""With a GPU, most workers wait for the device while one decodes or detects."""


class ThreadBudget(NamedTuple):
    """``workers`` images at a time, and at most ``intra_op`` threads in each model run."""

    workers: int
    intra_op: int


def thread_budget(cores: int, device: str = "cpu") -> ThreadBudget:
    """Divide ``cores`` between workers and the threads of one model run."""
    if device != "cpu":
        # One batch runs while the next one forms. More workers would need more memory, up to 50 MB per image.
        return ThreadBudget(workers=min(_WORKERS_PER_CORE * cores, 2 * MAX_BATCH_SIZE), intra_op=1)
    idle = max(0, cores - IMAGES_PER_COMPARISON)
    return ThreadBudget(workers=max(IMAGES_PER_COMPARISON, cores), intra_op=min(1 + idle, _MAX_INTRA_OP))


def process_count(cores: int, device: str) -> int:
    """Return the server processes for ``cores``. Batches of a GPU form within one process."""
    return max(1, cores // _CORES_PER_PROCESS) if device == "cpu" else 1


def pinned_cpus(cores: int, device: str) -> tuple[int, ...]:
    """Return the CPUs to pin workers to, one each; empty if the scheduler should choose.

    On two cores Linux often runs both images of a comparison on one core for milliseconds while the other is idle.
    With more cores that is rare.
    """
    if device != "cpu" or not hasattr(os, "sched_getaffinity"):
        return ()
    allowed = os.sched_getaffinity(0)
    if not len(allowed) == cores == IMAGES_PER_COMPARISON:
        return ()
    try:
        os.sched_setaffinity(0, allowed)  # changes nothing, but fails if pinning is not permitted
    except OSError:
        return ()
    return tuple(sorted(allowed))


def available_cores(root: Path = Path("/")) -> int:
    """Return the cores this process may use: its CPU affinity, limited by the quotas of its cgroup and its ancestors.

    ``root``: the root of the file system that contains ``proc`` and ``sys``.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quotas = [quota for folder in _cgroup_folders(root) if (quota := _cpu_quota(folder))]
    except (OSError, ValueError, IndexError):
        return cores  # no cgroups, or a format that is not known
    return max(1, min([cores, *map(int, quotas)]))


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of the cgroups that limit this process's CPU time, in cgroup v2 and v1 hierarchies.

    ``/proc/self/mountinfo`` lists where cgroups are mounted, ``/proc/self/cgroup`` the cgroups of this process.
    """
    cgroups = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        cgroups.update(dict.fromkeys(controllers.split(","), PurePosixPath(path)))
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        mount_root, mount_point = mount.split()[3:5]
        kind, _, options = filesystem.split(" ", 2)
        controller = {"cgroup2": "", "cgroup": "cpu"}.get(kind)
        if controller not in cgroups or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        cgroup = cgroups[controller]
        # A container may see its cgroup by the host's path while only that cgroup is mounted, at the mount point.
        relative = cgroup.relative_to(mount_root) if cgroup.is_relative_to(mount_root) else PurePosixPath()
        yield from (root / mount_point.lstrip("/") / path for path in (relative, *relative.parents))


def _cpu_quota(folder: Path) -> float | None:
    """Return the cores that a cgroup grants (``cpu.max`` in v2, ``cpu.cfs_*`` in v1), or ``None`` if unlimited."""
    if (folder / "cpu.max").exists():
        limit, period = (folder / "cpu.max").read_text().split()
    elif (folder / "cpu.cfs_quota_us").exists():
        limit = (folder / "cpu.cfs_quota_us").read_text().strip()
        period = (folder / "cpu.cfs_period_us").read_text().strip()
    else:
        return None
    return int(limit) / int(period) if limit not in {"max", "-1"} else None


def _pin_thread(free_cpus: queue.SimpleQueue[int]) -> None:
    """Pin the calling thread to the next of ``free_cpus``, if one is left and the process may still use it."""
    with suppress(queue.Empty, OSError):
        cpu = free_cpus.get_nowait()
        os.sched_setaffinity(0, {cpu})


class WorkerPool(AbstractContextManager["WorkerPool"]):
    """The threads that decode images and run models, while the event loop only waits."""

    def __init__(self, budget: ThreadBudget, cpus: Iterable[int] = ()) -> None:
        """``cpus``: the CPUs to pin workers to, one each (:func:`pinned_cpus`)."""
        free_cpus: queue.SimpleQueue[int] = queue.SimpleQueue()
        for cpu in cpus:
            free_cpus.put(cpu)
        self._pool = ThreadPoolExecutor(
            budget.workers, thread_name_prefix="worker", initializer=_pin_thread, initargs=(free_cpus,)
        )
        self._workers = budget.workers
        self._unfinished: set[Future[Any]] = set()
        """Queued and running work, even if its caller was cancelled."""

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def run(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run ``function`` on a worker thread and return its result; if cancelled before it starts, it never runs."""
        work = self._pool.submit(function, *args, **kwargs)
        self._unfinished.add(work)
        work.add_done_callback(self._unfinished.discard)
        try:
            return await asyncio.wrap_future(work)
        finally:
            del work  # breaks the cycle future - error - frames, which would keep images in memory

    def exceeds_workers(self, additional: int) -> bool:
        """Return whether the unfinished calls plus ``additional`` ones are more than the workers."""
        return len(self._unfinished) + additional > self._workers
