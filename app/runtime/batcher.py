"""Many threads' calls -> few runs of a model on a device. Knows nothing about faces.

On a GPU a run of sixteen items costs little more than a run of one. So one thread at a time uses the device, and what
waits meanwhile runs together next. There is no thread and no timer for that: whoever finds the device free runs its own
call at once, and then hands over to the caller that has waited longest, who takes along all who wait with items of the
same shape. Callers block, so there are never more calls than workers, and when the workers have ended none is left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Protocol

import numpy as np

from app.runtime.session import OrtSession, Session, Tensor

MAX_BATCH_SIZE = 16
"""Items in one run; more would keep those that come later waiting."""

_CLOSE = 1e-3  # of the largest output: a hundred times what another order of sums does to float32


class BatchMetrics(Protocol):
    """Is told of runs and waits, by the name of the model."""

    def record_batch(self, model: str, items: int) -> None: ...

    def record_batch_wait(self, model: str, seconds: float) -> None: ...


class RunError(RuntimeError):
    """A run on the device failed. Everyone whose items were in it gets one of their own."""


@dataclass(eq=False, slots=True)
class _Call:
    batch: Tensor
    turn: Event = field(default_factory=Event)
    """Set when the call is done, or is to use the device now."""
    came: float = field(default_factory=time.monotonic)
    is_done: bool = False
    outputs: list[Tensor] | None = None
    error: Exception | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """What items must have in common to run together."""
        return (self.batch.dtype, *self.batch.shape[1:])


class BatchingSession:
    """A :class:`Session` that runs the calls of several threads together, ``max_batch_size`` items at the most."""

    def __init__(self, session: Session, max_batch_size: int, model: str, tally: BatchMetrics) -> None:
        self._session = session
        self.max_batch_size = max_batch_size
        self._model = model
        self._tally = tally
        self._lock = Lock()
        self._waiting: list[_Call] = []
        self._is_busy = False

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, alone or with others; raise :class:`RunError` where that fails."""
        call = _Call(batch)
        with self._lock:
            self._waiting.append(call)
            if not self._is_busy:
                self._is_busy = True
                call.turn.set()
        call.turn.wait()
        if not call.is_done:
            self._run_batch()
        if call.outputs is None:
            raise RunError("a run of the model failed") from call.error
        return call.outputs

    def _run_batch(self) -> None:
        """Use the device for one run, and hand it over."""
        calls = self._take()
        try:
            outputs = self._session.run(_joined(calls))
            for call, own in zip(calls, _split_outputs(outputs, calls), strict=True):
                call.outputs = own
        except Exception as error:
            for call in calls:
                call.error = error
        finally:
            self._hand_over()
            for call in calls:
                call.is_done = True
                call.turn.set()

    def _take(self) -> list[_Call]:
        """Remove from those who wait the first, and whoever can run with it, in order."""
        with self._lock:
            first = self._waiting[0]
            taken, items = [first], len(first.batch)
            for call in self._waiting[1:]:
                if call.kind == first.kind and items + len(call.batch) <= self.max_batch_size:
                    taken.append(call)
                    items += len(call.batch)
            self._waiting = [call for call in self._waiting if call not in taken]
        began = time.monotonic()
        for call in taken:
            self._tally.record_batch_wait(self._model, began - call.came)
        self._tally.record_batch(self._model, items)
        return taken

    def _hand_over(self) -> None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._waiting:
                self._waiting[0].turn.set()


def _joined(calls: Sequence[_Call]) -> Tensor:
    return calls[0].batch if len(calls) == 1 else np.concatenate([call.batch for call in calls])


def _split_outputs(outputs: list[Tensor], calls: Sequence[_Call]) -> list[list[Tensor]]:
    """Return each call's rows of ``outputs``."""
    if len(calls) == 1:
        return [outputs]
    ends = np.cumsum([len(call.batch) for call in calls])
    if any(len(output) != ends[-1] for output in outputs):
        raise ValueError(f"{ends[-1]} items gave outputs of {[output.shape for output in outputs]}")
    parts = [np.split(output, ends[:-1]) for output in outputs]
    return [list(own) for own in zip(*parts, strict=True)]


def batching_session(session: OrtSession, model: str, tally: BatchMetrics) -> BatchingSession:
    """Wrap ``session``, once it is tried whether its file takes several items and it has run as many as it may."""
    most = MAX_BATCH_SIZE if session.max_batch_size is None and keeps_items_apart(session, session.item_shape) else 1
    session.run(np.zeros((most, *session.item_shape), dtype=np.float32))
    return BatchingSession(session, most, model, tally)


def keeps_items_apart(session: Session, item_shape: Sequence[int]) -> bool:
    """Whether items that run together come out as they do alone; not every file that declares a batch keeps it up."""
    items = np.random.default_rng(0).uniform(0, 255, (2, *item_shape)).astype(np.float32)
    alone = [np.concatenate(pair) for pair in zip(session.run(items[:1]), session.run(items[1:]), strict=True)]
    try:
        together = session.run(items)
    except Exception:  # whichever it is: alone they did run
        return False
    return all(
        len(ours) == len(items) and np.allclose(ours, theirs, rtol=0, atol=_CLOSE * np.abs(theirs).max())
        for ours, theirs in zip(together, alone, strict=True)
    )
