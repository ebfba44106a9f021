"""Median duration of each stage for one image on one thread, as the serving pipeline records it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

from app.domain import CompareOptions
from app.engine import open_pipelines, open_shared_models
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import Session, Tensor
from app.runtime.worker_pool import ThreadBudget

STAGES = ("decode", "detect", "landmarks", "align", "embed")
_WARM_UP, _RUNS = 3, 20
_DEADLINE_S = 60.0


class StageDurations(NamedTuple):
    """Medians in milliseconds.

    ``stages``: by name; ``total``: the pipeline; ``networks``: the same ``session.run`` calls repeated in one loop.
    """

    stages: dict[str, float]
    total: float
    networks: float

    def as_dict(self) -> dict[str, float]:
        return {**self.stages, "total": self.total, "networks": self.networks}


def stage_table(measured: Mapping[str, StageDurations]) -> list[str]:
    """Return a table with one row per stage and one column per image: milliseconds and share of ``total``."""
    columns = {name: durations.as_dict() for name, durations in measured.items()}
    lines = [f"{'':<10}" + "".join(f"{name[-18:]:>20}" for name in columns)]
    for stage in next(iter(columns.values())):
        cells = (f"{column[stage]:9.2f} {100 * column[stage] / column['total']:4.0f} %" for column in columns.values())
        lines.append(f"{stage:<10}" + "".join(f"{cell:>20}" for cell in cells))
    ratios = (f"{column['total'] / column['networks']:20.2f}" for column in columns.values())
    return [*lines, f"{'ratio':<10}" + "".join(ratios)]


class RecordingSession:
    """A session that keeps its inputs, so that they can be run again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs: list[Tensor] = []

    def run(self, batch: Tensor) -> list[Tensor]:
        self.inputs.append(batch)
        return self._session.run(batch)

    def run_again(self) -> None:
        for batch in self.inputs:
            self._session.run(batch)


class StageBenchmark:
    """The embedding pipeline of a pack on one thread."""

    def __init__(self, settings: Settings, store: Store, pack: Pack) -> None:
        self._sessions: list[RecordingSession] = []
        shared = open_shared_models(settings, ThreadBudget(workers=1, intra_op=1))
        self._pipeline = open_pipelines(settings, store, pack, shared, self._record).embedding

    def _record(self, session: Session) -> Session:
        self._sessions.append(RecordingSession(session))
        return self._sessions[-1]

    def measure(self, encoded: bytes) -> StageDurations:
        """Measure an encoded image; raise ``ApiError`` if it shows no face."""
        for _ in range(_WARM_UP):
            self._embed(encoded)
        timers, total, networks = [], [], []
        for _ in range(_RUNS):
            started = time.perf_counter()
            timers.append(self._embed(encoded).totals())
            total.append(time.perf_counter() - started)
            started = time.perf_counter()
            for session in self._sessions:
                session.run_again()
            networks.append(time.perf_counter() - started)
        stages = {name: 1000 * median(timer.get(name, 0.0) for timer in timers) for name in STAGES}
        return StageDurations(stages, 1000 * median(total), 1000 * median(networks))

    def _embed(self, encoded: bytes) -> StageTimer:
        for session in self._sessions:
            session.inputs.clear()
        timer = StageTimer.after(_DEADLINE_S)
        self._pipeline.embed(encoded, CompareOptions(), timer)
        return timer
