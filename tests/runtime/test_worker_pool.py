import asyncio
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.runtime.worker_pool import ThreadBudget, WorkerPool, available_cores, pinned_cpus, thread_budget


@pytest.mark.parametrize(
    ("cores", "workers", "intra_op"),
    [(1, 2, 1), (2, 2, 1), (3, 3, 2), (4, 4, 3), (5, 5, 4), (8, 8, 4), (64, 64, 4)],
)
def test_each_core_gets_a_worker_and_each_run_also_uses_the_idle_cores(cores: int, workers: int, intra_op: int) -> None:
    assert thread_budget(cores) == ThreadBudget(workers, intra_op)


@pytest.mark.parametrize(("cores", "workers"), [(1, 4), (4, 16), (8, 32), (64, 32)])
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_gets_more_workers_than_there_are_cores_so_that_batches_form(
    cores: int, workers: int, device: str
) -> None:
    assert thread_budget(cores, device) == ThreadBudget(workers, 1)


def test_concurrent_runs_of_a_session_share_its_helper_threads(store: Store, pack: Pack) -> None:
    """The thread budget relies on it: three concurrent runs with ``intra_op=4`` use three helper threads, not nine."""

    def thread_count() -> int:
        return sum(1 for _ in Path("/proc/self/task").iterdir())

    path, side = store.resolve(pack)[pack.embedder.file], pack.embedder.input_size
    before = thread_count()
    session = OrtSession.open(path, "cpu", 4)
    opened = thread_count()
    running = [0]
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            session.run(np.zeros((1, 3, side, side), dtype=np.float32))
            running[0] = max(running[0], thread_count())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert (opened - before, running[0] - opened) == (3, 3)


_V2 = "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate"
_V1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"
_V1_OTHER = "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
_V2_PART = "30 23 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw"
_V1_PART = "32 31 0:29 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu"


@pytest.mark.parametrize(
    ("mounts", "cgroup", "quotas", "cores"),
    [
        pytest.param([_V2], "0::/", {"": "max 100000"}, 8, id="unlimited"),
        pytest.param([_V2], "0::/", {"": "300000 100000"}, 3, id="container"),
        pytest.param([_V2], "0::/", {"": "900000 100000"}, 8, id="more than the affinity"),
        pytest.param([_V2], "0::/", {"": "50000 100000"}, 1, id="less than one core"),
        pytest.param([_V2], "0::/", {"": "150000 100000"}, 1, id="fractions are rounded down"),
        pytest.param(
            [_V2], "0::/system.slice/cf.service", {"system.slice/cf.service": "300000 100000"}, 3, id="systemd unit"
        ),
        pytest.param(
            [_V2], "0::/a/b/c", {"a": "200000 100000", "a/b/c": "400000 100000"}, 2, id="smaller quota in a parent"
        ),
        pytest.param([_V2], "0::/a/b/c", {"a": "max 100000", "a/b/c": "400000 100000"}, 4, id="unlimited parent"),
        pytest.param([_V2], "0::/a", {"b": "100000 100000"}, 8, id="quota of another cgroup"),
        pytest.param([_V2_PART], "0::/docker/ab/x", {"x": "300000 100000"}, 3, id="part of the tree is mounted"),
        pytest.param([_V2_PART], "0::/", {"": "300000 100000"}, 3, id="cgroup namespace, part of the tree is mounted"),
        pytest.param([_V2], "0::/", {"": "nonsense"}, 8, id="invalid quota"),
        pytest.param([_V1, _V1_OTHER], "4:memory:/m\n1:cpu,cpuacct:/", {"cpu/": "300000 100000"}, 3, id="v1"),
        pytest.param(
            [_V1], "1:cpu:/a/b", {"cpu/a": "200000 100000", "cpu/a/b": "-1 100000"}, 2, id="v1, quota in a parent"
        ),
        pytest.param(
            [_V1_PART], "1:cpu:/docker/ab", {"cpu/": "300000 100000"}, 3, id="v1, part of the tree is mounted"
        ),
        pytest.param([_V1_OTHER], "4:memory:/", {"memory/": "100000 100000"}, 8, id="v1, another controller"),
        pytest.param([], "", {}, 8, id="no cgroups"),
    ],
)
def test_quotas_of_the_cgroup_and_its_parents_limit_the_cores(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mounts: list[str],
    cgroup: str,
    quotas: dict[str, str],
    cores: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    (tmp_path / "proc/self/mountinfo").write_text("\n".join(["22 1 8:1 / / rw - ext4 /dev/root rw", *mounts]))
    for folder, text in quotas.items():
        target = tmp_path / "sys/fs/cgroup" / folder
        target.mkdir(parents=True, exist_ok=True)
        if folder.startswith(("cpu/", "memory/")):
            for name, value in zip(("cpu.cfs_quota_us", "cpu.cfs_period_us"), text.split(), strict=True):
                (target / name).write_text(f"{value}\n")
        else:
            (target / "cpu.max").write_text(f"{text}\n")
    assert available_cores(tmp_path) == cores


def test_without_proc_the_affinity_determines_the_cores(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == len(os.sched_getaffinity(0))


async def test_work_runs_on_a_worker_thread_and_returns_its_result() -> None:
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        name = await workers.run(lambda: threading.current_thread().name)
    assert name.startswith("worker")


async def test_an_exception_in_the_work_reaches_the_caller() -> None:
    with WorkerPool(ThreadBudget(2, 1)) as workers, pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 / 0)


async def test_work_exceeds_the_workers_once_all_of_them_are_busy() -> None:
    release = threading.Event()
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        tasks = [asyncio.create_task(workers.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not workers.exceeds_workers(0)
        assert workers.exceeds_workers(1)
        tasks.append(asyncio.create_task(workers.run(release.wait)))
        await asyncio.sleep(0)
        assert workers.exceeds_workers(0)
        release.set()
        await asyncio.gather(*tasks)
        assert not workers.exceeds_workers(2)


async def test_work_that_is_cancelled_in_the_queue_never_runs() -> None:
    release = threading.Event()
    ran: list[int] = []
    with WorkerPool(ThreadBudget(1, 1)) as workers:
        running = asyncio.create_task(workers.run(release.wait))
        queued = asyncio.create_task(workers.run(ran.append, 1))
        await asyncio.sleep(0.05)
        assert workers.exceeds_workers(0)
        queued.cancel()
        await asyncio.sleep(0)
        assert not workers.exceeds_workers(0)
        release.set()
        await running
    assert ran == []


async def test_running_work_counts_until_it_ends_even_if_its_caller_was_cancelled() -> None:
    release = threading.Event()
    with WorkerPool(ThreadBudget(1, 1)) as workers:
        tasks = [asyncio.create_task(workers.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()
        await asyncio.sleep(0.05)
        assert workers.exceeds_workers(0), "the cancelled work still runs, and the other is queued"
        release.set()
        await tasks[1]
        assert not workers.exceeds_workers(0)


@pytest.mark.parametrize(
    ("allowed", "cores", "device", "pinned"),
    [
        pytest.param({3, 1}, 2, "cpu", (1, 3), id="two CPUs, no quota"),
        pytest.param({0, 1}, 1, "cpu", (), id="quota of one"),
        pytest.param({0, 1, 2, 3}, 2, "cpu", (), id="quota of two, four CPUs"),
        pytest.param({0, 1, 2, 3}, 4, "cpu", (), id="four CPUs"),
        pytest.param({0}, 1, "cpu", (), id="one CPU"),
        pytest.param({0, 1}, 2, "cuda", (), id="GPU"),
    ],
)
def test_workers_are_pinned_only_if_the_process_has_exactly_two_cpus(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], cores: int, device: str, pinned: tuple[int, ...]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, __: None)
    assert pinned_cpus(cores, device) == pinned


def test_workers_are_not_pinned_without_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raise_permission_error(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", raise_permission_error)
    assert pinned_cpus(2, "cpu") == ()


async def test_each_worker_is_pinned_to_one_cpu_and_no_other_thread_is() -> None:
    before = os.sched_getaffinity(0)
    both_running = threading.Barrier(2)

    def affinity() -> set[int]:
        both_running.wait(10)
        return os.sched_getaffinity(0)

    cpus = sorted(before)[:2]
    with WorkerPool(ThreadBudget(2, 1), cpus) as workers:
        affinities = await asyncio.gather(workers.run(affinity), workers.run(affinity))
    assert sorted(affinities, key=min) == ([{cpu} for cpu in cpus] if len(cpus) == 2 else [before, before])
    assert os.sched_getaffinity(0) == before


async def test_a_worker_runs_unpinned_if_the_process_has_lost_its_cpu() -> None:
    with WorkerPool(ThreadBudget(1, 1), [4096]) as workers:
        assert await workers.run(os.sched_getaffinity, 0) == os.sched_getaffinity(0)
