"""Median duration of each stage for one image on one thread, as the serving pipeline records it."""

import time
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple, TypeAlias

from app.domain import CompareOptions
from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import Session, Tensor
from app.runtime.worker_pool import ThreadBudget
from app.service.errors import api_errors

_STAGES = ("decode", "detect", "landmarks", "align", "embed")
_WARM_UP, _RUNS = 3, 20
_DEADLINE_S = 60.0

StageDurations: TypeAlias = dict[str, float]
"""Medians in milliseconds: each stage, ``total`` of the pipeline, and ``networks``: its model runs, repeated alone."""


def stage_table(measured: Mapping[str, StageDurations]) -> list[str]:
    """Return a table with one row per stage and one column per image: milliseconds and share of ``total``."""
    columns = measured.values()
    lines = [f"{'':<10}" + "".join(f"{name[-18:]:>20}" for name in measured)]
    for stage in (*_STAGES, "total", "networks"):
        cells = (f"{column[stage]:9.2f} {100 * column[stage] / column['total']:4.0f} %" for column in columns)
        lines.append(f"{stage:<10}" + "".join(f"{cell:>20}" for cell in cells))
    ratios = (f"{column['total'] / column['networks']:20.2f}" for column in columns)
    return [*lines, f"{'ratio':<10}" + "".join(ratios)]


class _RecordingSession(NamedTuple):
    """Adds the session and the input of each model run to ``model_runs``."""

    session: Session
    model_runs: list[tuple[Session, Tensor]]

    def run(self, batch: Tensor) -> list[Tensor]:
        self.model_runs.append((self.session, batch))
        return self.session.run(batch)


class StageBenchmark:
    """The embedding pipeline of a pack on one thread."""

    def __init__(self, settings: Settings, store: Store, pack: Pack) -> None:
        self._model_runs: list[tuple[Session, Tensor]] = []
        shared = open_shared_resources(settings, ThreadBudget(workers=1, intra_op=1))
        pipelines = open_pipelines(settings, store, pack, shared, lambda s: _RecordingSession(s, self._model_runs))
        self._pipeline = pipelines.embedding

    def measure(self, encoded: bytes) -> StageDurations:
        """Measure an encoded image; raise ``ApiError`` if it shows no face."""
        runs = [self._run(encoded) for _ in range(_WARM_UP + _RUNS)][_WARM_UP:]
        return {name: 1000 * median(run[name] for run in runs) for name in runs[0]}

    def _run(self, encoded: bytes) -> dict[str, float]:
        """Embed the image, then repeat its model runs; return the durations in seconds."""
        self._model_runs.clear()
        timer = StageTimer.after(_DEADLINE_S)
        started = time.perf_counter()
        with api_errors():
            self._pipeline.embed(encoded, CompareOptions(), timer)
        embedded = time.perf_counter()
        for session, batch in self._model_runs:
            session.run(batch)
        networks = time.perf_counter() - embedded
        return dict.fromkeys(_STAGES, 0.0) | timer.totals() | {"total": embedded - started, "networks": networks}
