"""Rates: how often a caller may call in one second (vendor document "Request frequency limit")."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.errors import ApiError, ErrorCode, Text


class Rates:
    """Counts the calls of the running second by SecretId and action; belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._calls: dict[tuple[str, str], int] = {}

    def count(self, secret_id: str, action: str, per_second: int) -> None:
        """Count one call; raise ``RequestLimitExceeded`` if it is one too many."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._calls = second, {}
        calls = self._calls[secret_id, action] = self._calls.get((secret_id, action), 0) + 1
        if calls > per_second:
            raise ApiError(
                ErrorCode.REQUEST_LIMIT_EXCEEDED,
                Text(
                    f"Your current request times equals to `{calls}` in a second, which exceeds the frequency limit "
                    f"`{per_second}` for a second. Please reduce the frequency of calls.",
                    f"您当前每秒请求 `{calls}` 次，超过了每秒频率上限 `{per_second}`，请稍后重试。",
                ),
            )
