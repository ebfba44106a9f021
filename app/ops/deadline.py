"""One deadline per request, made at the door and handed to every stage; it keeps how long each of them took."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from app.errors import ApiError, ErrorCode


class Stage(NamedTuple):
    """A stretch of a request's work, in seconds of ``time.monotonic``."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class Deadline:
    """A point in monotonic time (seconds of ``time.monotonic``), and what has been done on the way to it.

    ``spent`` is in the order in which stages ended; those of the two pictures of a comparison overlap.
    """

    at: float
    spent: list[Stage] = field(default_factory=list)

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def end(self) -> None:
        """The request has been answered, or nobody waits for it: who still works for it stops at the next check."""
        self.at = -math.inf

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise ``FailedOperation.RequestTimeout`` once the time is up."""
        if self.remaining() <= 0.0:
            raise ApiError(ErrorCode.REQUEST_TIMEOUT)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Begin a stage, if there is time left for it, and keep how long it takes, however it ends."""
        self.check()
        began = time.monotonic()
        try:
            yield
        finally:
            self.note(name, began)

    def note(self, name: str, began: float) -> None:
        """Keep a stage that ends now."""
        self.spent.append(Stage(name, began, time.monotonic()))

    def seconds(self) -> dict[str, float]:
        """How long each stage took so far, both pictures of a comparison together."""
        total: dict[str, float] = {}
        for stage in tuple(self.spent):
            total[stage.name] = total.get(stage.name, 0.0) + stage.ended - stage.began
        return total
