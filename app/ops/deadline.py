"""The deadline of one request, which every stage checks."""

import math
import time
from dataclasses import dataclass
from typing import Self


class DeadlineExceededError(Exception):
    """The deadline of a request has passed."""


@dataclass(slots=True)
class Deadline:
    """A point in time, ``at``, in seconds of ``time.monotonic``."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(time.monotonic() + seconds)

    def expire(self) -> None:
        """End the request now: its remaining work stops at the next check."""
        self.at = -math.inf

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise :class:`DeadlineExceededError` if no time is left."""
        if self.remaining() <= 0.0:
            raise DeadlineExceededError
