from __future__ import annotations

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
def test_each_core_gets_a_worker_and_two_pictures_share_the_rest(cores: int, workers: int, intra_op: int) -> None:
    assert thread_budget(cores) == ThreadBudget(workers, intra_op)


@pytest.mark.parametrize(("cores", "workers"), [(1, 4), (4, 16), (8, 32), (64, 32)])
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_gets_more_workers_than_there_are_cores_so_that_batches_form(
    cores: int, workers: int, device: str
) -> None:
    assert thread_budget(cores, device) == ThreadBudget(workers, 1)


def test_helpers_belong_to_the_session_and_not_to_each_run(store: Store, pack: Pack) -> None:
    """What the budget rests on: three runs at once in a session of four threads take three helpers, not nine."""

    def threads() -> int:
        return sum(1 for _ in Path("/proc/self/task").iterdir())

    path, side = store.resolve(pack)[pack.embedder.file], pack.embedder.input_size
    before = threads()
    session = OrtSession.open(path, "cpu", 4)
    opened = threads()
    most = [0]
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set():
            session.run(np.zeros((1, 3, side, side), dtype=np.float32))
            most[0] = max(most[0], threads())

    runs = [threading.Thread(target=run) for _ in range(3)]
    for each in runs:
        each.start()
    time.sleep(0.2)
    is_over.set()
    for each in runs:
        each.join()
    assert (opened - before, most[0] - opened) == (3, 3)


_V2 = "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate"
_V1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"
_V1_OTHER = "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
_V2_PART = "30 23 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw"
_V1_PART = "32 31 0:29 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu"


@pytest.mark.parametrize(
    ("mounts", "own", "quotas", "most"),
    [
        pytest.param([_V2], "0::/", {"": "max 100000"}, 8, id="no bound"),
        pytest.param([_V2], "0::/", {"": "300000 100000"}, 3, id="container"),
        pytest.param([_V2], "0::/", {"": "900000 100000"}, 8, id="more than there are"),
        pytest.param([_V2], "0::/", {"": "50000 100000"}, 1, id="less than one core"),
        pytest.param([_V2], "0::/", {"": "150000 100000"}, 1, id="no half cores"),
        pytest.param([_V2], "0::/system.slice/cf.service", {"system.slice/cf.service": "300000 100000"}, 3, id="unit"),
        pytest.param([_V2], "0::/a/b/c", {"a": "200000 100000", "a/b/c": "400000 100000"}, 2, id="above is less"),
        pytest.param([_V2], "0::/a/b/c", {"a": "max 100000", "a/b/c": "400000 100000"}, 4, id="above is free"),
        pytest.param([_V2], "0::/a", {"b": "100000 100000"}, 8, id="another's"),
        pytest.param([_V2_PART], "0::/docker/ab/x", {"x": "300000 100000"}, 3, id="part mounted"),
        pytest.param([_V2_PART], "0::/", {"": "300000 100000"}, 3, id="own namespace, part mounted"),
        pytest.param([_V2], "0::/", {"": "nonsense"}, 8, id="nonsense"),
        pytest.param([_V1, _V1_OTHER], "4:memory:/m\n1:cpu,cpuacct:/", {"cpu/": "300000 100000"}, 3, id="v1"),
        pytest.param([_V1], "1:cpu:/a/b", {"cpu/a": "200000 100000", "cpu/a/b": "-1 100000"}, 2, id="v1, above"),
        pytest.param([_V1_PART], "1:cpu:/docker/ab", {"cpu/": "300000 100000"}, 3, id="v1, part mounted"),
        pytest.param([_V1_OTHER], "4:memory:/", {"memory/": "100000 100000"}, 8, id="v1, of another controller"),
        pytest.param([], "", {}, 8, id="no cgroups"),
    ],
)
def test_the_quotas_of_our_cgroup_and_of_those_above_cap_the_cores(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mounts: list[str],
    own: str,
    quotas: dict[str, str],
    most: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(own)
    (tmp_path / "proc/self/mountinfo").write_text("\n".join(["22 1 8:1 / / rw - ext4 /dev/root rw", *mounts]))
    for folder, text in quotas.items():
        target = tmp_path / "sys/fs/cgroup" / folder
        target.mkdir(parents=True, exist_ok=True)
        if folder.startswith(("cpu/", "memory/")):
            for name, value in zip(("cpu.cfs_quota_us", "cpu.cfs_period_us"), text.split(), strict=True):
                (target / name).write_text(f"{value}\n")
        else:
            (target / "cpu.max").write_text(f"{text}\n")
    assert available_cores(tmp_path) == most


def test_without_proc_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == len(os.sched_getaffinity(0))


async def test_work_runs_off_the_event_loop_and_returns_its_result() -> None:
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        name = await workers.run(lambda: threading.current_thread().name)
    assert name.startswith("worker")


async def test_an_exception_of_the_work_reaches_the_caller() -> None:
    with WorkerPool(ThreadBudget(2, 1)) as workers, pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 / 0)


async def test_work_would_wait_once_all_workers_have_some() -> None:
    gate = threading.Event()
    with WorkerPool(ThreadBudget(2, 1)) as workers:
        tasks = [asyncio.create_task(workers.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not workers.would_queue(0)
        assert workers.would_queue(1)
        tasks.append(asyncio.create_task(workers.run(gate.wait)))
        await asyncio.sleep(0)
        assert workers.would_queue(0)
        gate.set()
        await asyncio.gather(*tasks)
        assert not workers.would_queue(2)


async def test_work_that_is_cancelled_before_a_thread_takes_it_never_runs() -> None:
    release = threading.Event()
    ran: list[int] = []
    with WorkerPool(ThreadBudget(1, 1)) as workers:
        running = asyncio.create_task(workers.run(release.wait))
        waiting = asyncio.create_task(workers.run(ran.append, 1))
        await asyncio.sleep(0.05)
        assert workers.would_queue(0)
        waiting.cancel()
        await asyncio.sleep(0)
        assert not workers.would_queue(0)
        release.set()
        await running
    assert ran == []


async def test_work_that_runs_counts_until_it_ends_even_if_nobody_waits_for_it() -> None:
    release = threading.Event()
    with WorkerPool(ThreadBudget(1, 1)) as workers:
        left = [asyncio.create_task(workers.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        left[0].cancel()
        await asyncio.sleep(0.05)
        assert workers.would_queue(0), "one runs for nobody, one waits"
        release.set()
        await left[1]
        assert not workers.would_queue(0)


@pytest.mark.parametrize(
    ("allowed", "cores", "device", "own"),
    [
        pytest.param({3, 1}, 2, "cpu", (1, 3), id="two, and both are ours"),
        pytest.param({0, 1}, 1, "cpu", (), id="a quota"),
        pytest.param({0, 1, 2, 3}, 2, "cpu", (), id="two of several"),
        pytest.param({0, 1, 2, 3}, 4, "cpu", (), id="the system has a choice"),
        pytest.param({0}, 1, "cpu", (), id="one"),
        pytest.param({0, 1}, 2, "cuda", (), id="the GPU works"),
    ],
)
def test_workers_keep_to_a_core_each_where_there_are_two_of_our_own(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], cores: int, device: str, own: tuple[int, ...]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, __: None)
    assert pinned_cpus(cores, device) == own


def test_workers_go_where_they_like_where_the_system_does_not_let_them_keep_to_a_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert pinned_cpus(2, "cpu") == ()


async def test_each_worker_keeps_to_its_core_and_nobody_else_does() -> None:
    before = os.sched_getaffinity(0)
    both = threading.Barrier(2)

    def place() -> set[int]:
        both.wait(10)
        return os.sched_getaffinity(0)

    cores = sorted(before)[:2]
    with WorkerPool(ThreadBudget(2, 1), cores) as workers:
        places = await asyncio.gather(workers.run(place), workers.run(place))
    assert sorted(places, key=min) == ([{core} for core in cores] if len(cores) == 2 else [before, before])
    assert os.sched_getaffinity(0) == before


async def test_workers_work_where_a_core_is_no_longer_ours() -> None:
    with WorkerPool(ThreadBudget(1, 1), [4096]) as workers:
        assert await workers.run(os.sched_getaffinity, 0) == os.sched_getaffinity(0)
