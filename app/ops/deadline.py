"""One deadline per request, made at the door and handed to every stage."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from app.errors import ApiError, ErrorCode


@dataclass(slots=True)
class Deadline:
    """A point in monotonic time (seconds of ``time.monotonic``)."""

    at: float

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
