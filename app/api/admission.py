"""Admission: at most so many requests at work; the next one is told so at once, instead of waiting in a queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import ApiError, ErrorCode, Text

_BUSY = Text(
    "The service is working on as many requests as it may. Please reduce the frequency of calls.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)


class Admission:
    """Counts the requests at work; belongs to one event loop."""

    def __init__(self, max_in_flight: int) -> None:
        self._free = max_in_flight

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one place; raise ``RequestLimitExceeded`` if there is none."""
        if not self._free:
            raise ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _BUSY)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
