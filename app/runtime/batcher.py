"""Batches the calls of several threads, because on a GPU a batch of 16 takes little longer than a single item.

One thread at a time uses the device; calls that arrive meanwhile form the next batch. There is no extra thread and no
timer: a call on a free device runs at once. After a run, the thread of the oldest queued call runs it together with all
queued calls of the same item shape. Callers block, so the queue never holds more calls than there are workers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock

import numpy as np

from app.ops.metrics import Metrics
from app.runtime.session import OrtSession, Session, Tensor

MAX_BATCH_SIZE = 16
"""Items per run; larger batches would delay the calls that arrive during the run."""

_TOLERANCE = 1e-3
"""Allowed difference, relative to the largest output: 100 times the effect of another summation order in float32."""


class RunError(RuntimeError):
    """A run on the device failed. Each call of the batch raises its own instance."""


@dataclass(eq=False, slots=True)
class _Call:
    batch: Tensor
    wakeup: Event = field(default_factory=Event)
    """Set when the call is done, or when its thread must run the next batch."""
    queued_at: float = field(default_factory=time.monotonic)
    is_done: bool = False
    outputs: list[Tensor] | None = None
    error: Exception | None = None

    @property
    def item_type(self) -> tuple[object, ...]:
        """The dtype and item shape that calls of one batch must share."""
        return (self.batch.dtype, *self.batch.shape[1:])


class BatchingSession:
    """A :class:`Session` that runs the calls of several threads in batches of at most ``max_batch_size`` items."""

    def __init__(self, session: Session, max_batch_size: int, model: str, metrics: Metrics) -> None:
        self._session = session
        self.max_batch_size = max_batch_size
        self._model = model
        self._metrics = metrics
        self._lock = Lock()
        self._queue: list[_Call] = []
        self._is_busy = False

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, alone or with other calls; raise :class:`RunError` if the run fails."""
        call = _Call(batch)
        with self._lock:
            self._queue.append(call)
            if not self._is_busy:
                self._is_busy = True
                call.wakeup.set()
        call.wakeup.wait()
        if not call.is_done:
            self._run_next_batch()
        if call.outputs is None:
            raise RunError("a run of the model failed") from call.error
        return call.outputs

    def _run_next_batch(self) -> None:
        """Run the oldest queued calls on the device, then wake the thread of the next queued call."""
        calls = self._next_calls()
        try:
            for call, outputs in zip(calls, self._outputs([call.batch for call in calls]), strict=True):
                call.outputs = outputs
        except Exception as error:
            for call in calls:
                call.error = error
        finally:
            self._release_device()
            for call in calls:
                call.is_done = True
                call.wakeup.set()

    def _next_calls(self) -> list[_Call]:
        """Remove the oldest call from the queue, and all that fit into its batch, in order."""
        with self._lock:
            first = self._queue[0]
            calls, items = [first], len(first.batch)
            for call in self._queue[1:]:
                if call.item_type == first.item_type and items + len(call.batch) <= self.max_batch_size:
                    calls.append(call)
                    items += len(call.batch)
            self._queue = [call for call in self._queue if call not in calls]
        began = time.monotonic()
        self._metrics.record_batch(self._model, items, (began - call.queued_at for call in calls))
        return calls

    def _outputs(self, batches: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return the outputs of each of ``batches``; raise ``ValueError`` if the number of rows differs."""
        if len(batches) == 1:
            return [self._session.run(batches[0])]
        outputs = self._session.run(np.concatenate(batches))
        ends = np.cumsum([len(batch) for batch in batches])
        if any(len(output) != ends[-1] for output in outputs):
            raise ValueError(f"{ends[-1]} items gave outputs of {[output.shape for output in outputs]}")
        rows = [np.split(output, ends[:-1]) for output in outputs]
        return [list(batch_outputs) for batch_outputs in zip(*rows, strict=True)]

    def _release_device(self) -> None:
        with self._lock:
            self._is_busy = bool(self._queue)
            if self._queue:
                self._queue[0].wakeup.set()


def batching_session(session: OrtSession, model: str, metrics: Metrics) -> BatchingSession:
    """Wrap ``session``, after one run with the largest batch that its file supports (1 or ``MAX_BATCH_SIZE``)."""
    has_batches = session.max_batch_size is None and has_independent_items(session)
    batch_size = MAX_BATCH_SIZE if has_batches else 1
    session.run(np.zeros((batch_size, *session.item_shape), dtype=np.float32))
    return BatchingSession(session, batch_size, model, metrics)


def has_independent_items(session: OrtSession) -> bool:
    """Return whether two items give the same outputs in one run as in two; some files declare a batch but mix items."""
    items = np.random.default_rng(0).uniform(0, 255, (2, *session.item_shape)).astype(np.float32)
    separate = [np.concatenate(pair) for pair in zip(session.run(items[:1]), session.run(items[1:]), strict=True)]
    try:
        batched = session.run(items)
    except Exception:  # any error of onnxruntime: single items ran without one
        return False
    return all(
        len(output) == len(items) and np.allclose(output, expected, rtol=0, atol=_TOLERANCE * np.abs(expected).max())
        for output, expected in zip(batched, separate, strict=True)
    )
