"""Durations of a request's stages, for the access log, the metrics and the traces."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from app.ops.deadline import Deadline


class Stage(NamedTuple):
    """One stage of a request; times in seconds of ``time.monotonic``."""

    name: str
    started_at: float
    ended_at: float


@dataclass(slots=True)
class StageTimer:
    """The stages of one request, in the order in which they end. The stages of its two images overlap in time.

    ``details``: further fields of the access log, which the use case sets.
    """

    deadline: Deadline
    stages: list[Stage] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a timer whose deadline ends in ``seconds``."""
        return cls(Deadline.after(seconds))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; raise ``DeadlineExceededError`` before it begins if no time is left."""
        self.deadline.check()
        started_at = time.monotonic()
        try:
            yield
        finally:
            self.stages.append(Stage(name, started_at, time.monotonic()))

    def totals(self) -> dict[str, float]:
        """Return the seconds spent in each stage, summed over both images of a comparison."""
        totals: defaultdict[str, float] = defaultdict(float)
        for stage in self.stages:
            totals[stage.name] += stage.ended_at - stage.started_at
        return dict(totals)
