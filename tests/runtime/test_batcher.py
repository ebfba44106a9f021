"""Many threads, one device: real onnxruntime sessions behind a gate that holds the device busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.ops.metrics import Metrics
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.batcher import MAX_BATCH_SIZE, BatchingSession, RunError, batching_session, keeps_items_apart
from app.runtime.session import OrtSession, Session, Tensor
from app.runtime.worker_pool import ThreadBudget, WorkerPool


class Gated:
    """Records the runs of a session, and holds each until it is let through."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gate = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.shapes: list[tuple[int, ...]] = []
        self.side_by_side = 0

    def run(self, batch: Tensor) -> list[Tensor]:
        self.shapes.append(batch.shape)
        self.side_by_side += 1
        assert self.side_by_side == 1
        self.began.release()
        assert self._gate.acquire(timeout=10)
        try:
            return self._session.run(batch)
        finally:
            self.side_by_side -= 1

    def let_through(self, runs: int = 1_000) -> None:
        self._gate.release(runs)

    @property
    def sizes(self) -> list[int]:
        return [shape[0] for shape in self.shapes]


class Held:
    """A batching session whose device is busy with a first item, and those who wait for it, in order."""

    def __init__(self, session: Session, pool: ThreadPoolExecutor, max_batch_size: int = MAX_BATCH_SIZE) -> None:
        self.device = Gated(session)
        self.session = BatchingSession(self.device, max_batch_size, "model", Metrics())
        self._pool = pool
        self.calls: list[Future[list[Tensor]]] = []

    def call(self, batch: Tensor) -> None:
        waiting = len(self.session._waiting)
        self.calls.append(self._pool.submit(self.session.run, batch))
        if len(self.calls) == 1:
            assert self.device.began.acquire(timeout=10)
        else:
            _until(lambda: len(self.session._waiting) == waiting + 1)

    def finish(self) -> None:
        self.device.let_through()
        wait(self.calls, timeout=30)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(scope="module")
def embedder(store: Store, pack: Pack) -> OrtSession:
    return OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1)


def _square(
    path: Path, *, width: int | str = 2, inside: tuple[int, ...] = (0, -1), between: str = "Identity"
) -> OrtSession:
    """A model that squares numbers; ``inside``: the shape it gives them, ``between``: what else it does to them."""
    shape = numpy_helper.from_array(np.array(inside, dtype=np.int64), "shape")
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"]),
        helper.make_node(between, ["squared"], ["between"], axis=0 if between == "Softmax" else None),
        helper.make_node("Reshape", ["between", "shape"], ["y"]),
    ]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "square", [source], [target], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return OrtSession.open(path, "cpu", 1)


@pytest.fixture
def square(tmp_path: Path) -> OrtSession:
    return _square(tmp_path / "square.onnx")


def _items(*values: float, width: int = 2) -> Tensor:
    return np.repeat(np.array(values, dtype=np.float32)[:, None], width, axis=1)


def test_many_threads_get_what_they_would_get_alone(embedder: OrtSession) -> None:
    rng = np.random.default_rng(1)
    items = [rng.normal(size=(1 + n % 2, *embedder.item_shape)).astype(np.float32) for n in range(24)]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(BatchingSession(embedder, MAX_BATCH_SIZE, "model", Metrics()).run, items))
    for ours, item in zip(together, items, strict=True):
        np.testing.assert_allclose(ours[0], embedder.run(item)[0], rtol=1e-4, atol=1e-5)


def test_what_waits_while_the_device_is_busy_runs_together(square: OrtSession) -> None:
    with ThreadPoolExecutor(32) as pool:
        held = Held(square, pool)
        for value in range(21):
            held.call(_items(value))
        held.finish()
    assert held.device.sizes == [1, 16, 4]
    assert [call.result()[0].tolist() for call in held.calls] == [[[value**2] * 2] for value in range(21)]


def test_a_free_device_is_used_at_once(square: OrtSession) -> None:
    device = Gated(square)
    device.let_through()
    session = BatchingSession(device, MAX_BATCH_SIZE, "model", Metrics())
    for value in range(3):
        assert session.run(_items(value))[0][0, 0] == value**2
    assert device.sizes == [1, 1, 1]


def test_calls_of_several_items_stay_whole(square: OrtSession) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = Held(square, pool, max_batch_size=4)
        for batch in (_items(0), _items(1, 2, 3), _items(4, 5), _items(6), _items(*range(7, 14))):
            held.call(batch)
        held.finish()
    assert held.device.sizes == [1, 4, 2, 7]
    assert [call.result()[0][:, 0].tolist() for call in held.calls] == [
        [0],
        [1, 4, 9],
        [16, 25],
        [36],
        [value**2 for value in range(7, 14)],
    ]


def test_only_items_of_one_shape_run_together_and_nobody_is_passed_over(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = Held(_square(tmp_path / "any.onnx", width="width"), pool)
        for value, width in ((0, 2), (1, 3), (2, 2), (3, 3), (4, 5), (5, 2)):
            held.call(_items(value, width=width))
        held.finish()
    assert held.device.shapes == [(1, 2), (2, 3), (2, 2), (1, 5)]
    assert [call.result()[0][0, 0] for call in held.calls] == [0, 1, 4, 9, 16, 25]


def test_a_failure_is_told_to_those_in_the_run_each_by_itself_and_to_nobody_else(square: OrtSession) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = Held(square, pool)
        held.call(_items(1))
        for _ in range(3):
            held.call(_items(2, width=7))  # the file takes two numbers
        held.call(_items(3))
        held.finish()
    assert held.device.shapes == [(1, 2), (3, 7), (1, 2)]
    errors = [call.exception() for call in held.calls]
    assert [type(error) for error in errors] == [type(None), RunError, RunError, RunError, type(None)]
    assert len({id(error) for error in errors[1:4]}) == 3
    assert "dimension" in str(errors[1].__cause__)  # type: ignore[union-attr]
    assert held.session.run(_items(4))[0][0, 0] == 16


def test_a_run_with_fewer_rows_than_items_is_a_failure_and_no_mixture(tmp_path: Path) -> None:
    flat = _square(tmp_path / "flat.onnx", inside=(-1,))
    with ThreadPoolExecutor(4) as pool:
        held = Held(flat, pool)
        for value in range(3):
            held.call(_items(value))
        held.finish()
    assert held.calls[0].result()[0].tolist() == [0, 0]
    assert all(isinstance(call.exception(), RunError) for call in held.calls[1:])


def test_an_interrupted_run_leaves_nobody_waiting(square: OrtSession) -> None:
    class Interrupted:
        def __init__(self) -> None:
            self.runs = 0

        def run(self, batch: Tensor) -> list[Tensor]:
            self.runs += 1
            if self.runs == 2:
                raise KeyboardInterrupt
            return square.run(batch)

    with ThreadPoolExecutor(4) as pool:
        held = Held(Interrupted(), pool)
        for value in range(3):
            held.call(_items(value))
        held.finish()
    errors = {type(call.exception()) for call in held.calls[1:]}
    assert errors == {KeyboardInterrupt, RunError}
    assert held.session.run(_items(5))[0][0, 0] == 25


async def test_when_the_workers_have_ended_nobody_waits(square: OrtSession) -> None:
    with ThreadPoolExecutor(1) as closing:
        with WorkerPool(ThreadBudget(4, 1)) as workers:
            held = Held(square, workers._pool)
            for value in range(4):
                held.call(_items(value))
            closing.submit(held.device.let_through)
        assert [call.result(timeout=0)[0][0, 0] for call in held.calls] == [0, 1, 4, 9]
    assert held.session._waiting == []


def test_a_file_is_batched_if_its_items_come_out_as_they_do_alone(embedder: OrtSession, square: OrtSession) -> None:
    assert keeps_items_apart(embedder, embedder.item_shape)
    assert keeps_items_apart(square, square.item_shape)
    assert batching_session(embedder, "model", Metrics()).max_batch_size == MAX_BATCH_SIZE


@pytest.mark.parametrize(
    ("inside", "between"),
    [
        ((-1,), "Identity"),  # the items are strung together, as in the published SCRFD
        ((1, 2), "Identity"),  # there is a 1 inside: two items do not run
        ((0, -1), "Softmax"),  # along the items
    ],
)
def test_a_file_that_mixes_items_up_is_not_batched(tmp_path: Path, inside: tuple[int, ...], between: str) -> None:
    session = _square(tmp_path / "m.onnx", inside=inside, between=between)
    assert not keeps_items_apart(session, session.item_shape)
    assert batching_session(session, "model", Metrics()).max_batch_size == 1


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "most"),
    [("insightface/det_2.5g.onnx", 1), ("standin/mobilefacenet.onnx", 1), ("yunet/yunet_s_dynamic.onnx", 16)],
)
def test_published_files_run_as_many_items_as_they_were_written_for(shared: Path, file: str, most: int) -> None:
    assert (
        batching_session(OrtSession.open(shared / "models" / file, "cpu", 1), "model", Metrics()).max_batch_size == most
    )
