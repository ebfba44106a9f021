"""Batches of several threads' calls: real onnxruntime sessions behind a gate that keeps the device busy."""

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
from app.runtime.batcher import MAX_BATCH_SIZE, BatchingSession, RunError, batching_session, has_independent_items
from app.runtime.session import OrtSession, Session, Tensor
from app.runtime.worker_pool import ThreadBudget, WorkerPool


class GatedSession:
    """Records the runs of a session, and blocks each until ``open_gate`` is called."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gate = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.shapes: list[tuple[int, ...]] = []
        self.concurrent_runs = 0

    def run(self, batch: Tensor) -> list[Tensor]:
        self.shapes.append(batch.shape)
        self.concurrent_runs += 1
        assert self.concurrent_runs == 1
        self.began.release()
        assert self._gate.acquire(timeout=10)
        try:
            return self._session.run(batch)
        finally:
            self.concurrent_runs -= 1

    def open_gate(self, runs: int = 1_000) -> None:
        self._gate.release(runs)

    @property
    def batch_sizes(self) -> list[int]:
        return [shape[0] for shape in self.shapes]


class BusyDevice:
    """A batching session whose first call keeps the device busy while further calls queue in order."""

    def __init__(self, session: Session, pool: ThreadPoolExecutor, max_batch_size: int = MAX_BATCH_SIZE) -> None:
        self.device = GatedSession(session)
        self.session = BatchingSession(self.device, max_batch_size, "model", Metrics())
        self._pool = pool
        self.calls: list[Future[list[Tensor]]] = []

    def call(self, batch: Tensor) -> None:
        queued = len(self.session._queue)
        self.calls.append(self._pool.submit(self.session.run, batch))
        if len(self.calls) == 1:
            assert self.device.began.acquire(timeout=10)
        else:
            _wait_until(lambda: len(self.session._queue) == queued + 1)

    def finish(self) -> None:
        self.device.open_gate()
        wait(self.calls, timeout=30)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(scope="module")
def embedder(store: Store, pack: Pack) -> OrtSession:
    return OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1)


def _square_model(
    path: Path, *, width: int | str = 2, reshape: tuple[int, ...] = (0, -1), operator: str = "Identity"
) -> OrtSession:
    """Return a model that squares its input, applies ``operator``, and reshapes the result."""
    shape = numpy_helper.from_array(np.array(reshape, dtype=np.int64), "shape")
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"]),
        helper.make_node(operator, ["squared"], ["between"], axis=0 if operator == "Softmax" else None),
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
    return _square_model(tmp_path / "square.onnx")


def _items(*values: float, width: int = 2) -> Tensor:
    return np.repeat(np.array(values, dtype=np.float32)[:, None], width, axis=1)


def test_batched_calls_return_the_same_outputs_as_single_ones(embedder: OrtSession) -> None:
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=(1 + n % 2, *embedder.item_shape)).astype(np.float32) for n in range(24)]
    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(BatchingSession(embedder, MAX_BATCH_SIZE, "model", Metrics()).run, batches))
    for result, batch in zip(results, batches, strict=True):
        np.testing.assert_allclose(result[0], embedder.run(batch)[0], rtol=1e-4, atol=1e-5)


def test_calls_that_arrive_while_the_device_is_busy_run_in_one_batch(square: OrtSession) -> None:
    with ThreadPoolExecutor(32) as pool:
        busy = BusyDevice(square, pool)
        for value in range(21):
            busy.call(_items(value))
        busy.finish()
    assert busy.device.batch_sizes == [1, 16, 4]
    assert [call.result()[0].tolist() for call in busy.calls] == [[[value**2] * 2] for value in range(21)]


def test_a_free_device_is_used_at_once(square: OrtSession) -> None:
    device = GatedSession(square)
    device.open_gate()
    session = BatchingSession(device, MAX_BATCH_SIZE, "model", Metrics())
    for value in range(3):
        assert session.run(_items(value))[0][0, 0] == value**2
    assert device.batch_sizes == [1, 1, 1]


def test_calls_of_several_items_are_not_split(square: OrtSession) -> None:
    with ThreadPoolExecutor(8) as pool:
        busy = BusyDevice(square, pool, max_batch_size=4)
        for batch in (_items(0), _items(1, 2, 3), _items(4, 5), _items(6), _items(*range(7, 14))):
            busy.call(batch)
        busy.finish()
    assert busy.device.batch_sizes == [1, 4, 2, 7]
    assert [call.result()[0][:, 0].tolist() for call in busy.calls] == [
        [0],
        [1, 4, 9],
        [16, 25],
        [36],
        [value**2 for value in range(7, 14)],
    ]


def test_a_batch_has_one_item_shape_and_the_oldest_call_goes_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        busy = BusyDevice(_square_model(tmp_path / "any.onnx", width="width"), pool)
        for value, width in ((0, 2), (1, 3), (2, 2), (3, 3), (4, 5), (5, 2)):
            busy.call(_items(value, width=width))
        busy.finish()
    assert busy.device.shapes == [(1, 2), (2, 3), (2, 2), (1, 5)]
    assert [call.result()[0][0, 0] for call in busy.calls] == [0, 1, 4, 9, 16, 25]


def test_a_failed_run_raises_a_separate_error_in_each_call_of_its_batch_only(square: OrtSession) -> None:
    with ThreadPoolExecutor(8) as pool:
        busy = BusyDevice(square, pool)
        busy.call(_items(1))
        for _ in range(3):
            busy.call(_items(2, width=7))  # the model takes two numbers
        busy.call(_items(3))
        busy.finish()
    assert busy.device.shapes == [(1, 2), (3, 7), (1, 2)]
    errors = [call.exception() for call in busy.calls]
    assert [type(error) for error in errors] == [type(None), RunError, RunError, RunError, type(None)]
    assert len({id(error) for error in errors[1:4]}) == 3
    assert "dimension" in str(errors[1].__cause__)  # type: ignore[union-attr]
    assert busy.session.run(_items(4))[0][0, 0] == 16


def test_a_run_with_fewer_rows_than_items_fails(tmp_path: Path) -> None:
    flat = _square_model(tmp_path / "flat.onnx", reshape=(-1,))
    with ThreadPoolExecutor(4) as pool:
        busy = BusyDevice(flat, pool)
        for value in range(3):
            busy.call(_items(value))
        busy.finish()
    assert busy.calls[0].result()[0].tolist() == [0, 0]
    assert all(isinstance(call.exception(), RunError) for call in busy.calls[1:])


def test_an_interrupted_run_leaves_no_call_blocked(square: OrtSession) -> None:
    class InterruptedSession:
        def __init__(self) -> None:
            self.runs = 0

        def run(self, batch: Tensor) -> list[Tensor]:
            self.runs += 1
            if self.runs == 2:
                raise KeyboardInterrupt
            return square.run(batch)

    with ThreadPoolExecutor(4) as pool:
        busy = BusyDevice(InterruptedSession(), pool)
        for value in range(3):
            busy.call(_items(value))
        busy.finish()
    errors = {type(call.exception()) for call in busy.calls[1:]}
    assert errors == {KeyboardInterrupt, RunError}
    assert busy.session.run(_items(5))[0][0, 0] == 25


async def test_no_call_is_queued_after_the_workers_have_ended(square: OrtSession) -> None:
    with ThreadPoolExecutor(1) as closing:
        with WorkerPool(ThreadBudget(4, 1)) as workers:
            busy = BusyDevice(square, workers._pool)
            for value in range(4):
                busy.call(_items(value))
            closing.submit(busy.device.open_gate)
        assert [call.result(timeout=0)[0][0, 0] for call in busy.calls] == [0, 1, 4, 9]
    assert busy.session._queue == []


def test_a_model_with_independent_items_is_batched(embedder: OrtSession, square: OrtSession) -> None:
    assert has_independent_items(embedder)
    assert has_independent_items(square)
    assert batching_session(embedder, "model", Metrics()).max_batch_size == MAX_BATCH_SIZE


@pytest.mark.parametrize(
    ("reshape", "operator"),
    [
        ((-1,), "Identity"),  # concatenates the items, as the published SCRFD does
        ((1, 2), "Identity"),  # fixes the batch size at 1: two items do not run
        ((0, -1), "Softmax"),  # normalises over the items
    ],
)
def test_a_model_that_mixes_its_items_is_not_batched(tmp_path: Path, reshape: tuple[int, ...], operator: str) -> None:
    session = _square_model(tmp_path / "m.onnx", reshape=reshape, operator=operator)
    assert not has_independent_items(session)
    assert batching_session(session, "model", Metrics()).max_batch_size == 1


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "batch_size"),
    [("insightface/det_2.5g.onnx", 1), ("standin/mobilefacenet.onnx", 1), ("yunet/yunet_s_dynamic.onnx", 16)],
)
def test_published_models_run_the_batch_size_that_they_support(shared: Path, file: str, batch_size: int) -> None:
    session = OrtSession.open(shared / "models" / file, "cpu", 1)
    assert batching_session(session, "model", Metrics()).max_batch_size == batch_size
