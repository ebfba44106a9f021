"""Admission: at most so many requests at work, and none that would only make the others slower.

Who waits has sent no body yet, so waiting costs next to no memory; places are given in the order of arrival. A burst is
served in turn. A line that stands for longer than anybody may wait is no burst: it is sent away, and from then on who
finds no place at once is told so at once, until that has not happened for a second. So under any load those who are
served are served about as fast as ever (the idea of controlled delay: Nichols and Jacobson, "Controlling Queue Delay",
2012).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.errors import ApiError, ErrorCode, Text

_BUSY = Text(
    "The service is working on as many requests as it may. Please reduce the frequency of calls.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)
_CALM_S = 1.0
"""Seconds without a refusal after which requests may wait in line again."""

_ARRIVAL_S = 0.005
"""Seconds in which most requests that were let in have been read and are at work."""


class Admission:
    """Counts the requests at work; belongs to one event loop."""

    def __init__(self, max_in_flight: int, max_wait_s: float, is_busy: Callable[[], bool] = lambda: False) -> None:
        """``is_busy`` tells whether one more request would only wait for those at work."""
        self._free = max_in_flight
        self._max_wait_s = max_wait_s
        self._is_busy = is_busy
        self._line: deque[asyncio.Future[None]] = deque()
        self._calm_from = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place; raise ``RequestLimitExceeded`` if there is none in time."""
        if self._line or not self._has_room():
            await self._wait()
        else:
            self._free -= 1
        try:
            yield
        finally:
            self._leave()

    def _has_room(self) -> bool:
        return self._free > 0 and not self._is_busy()

    async def _wait(self) -> None:
        """Stand in line for a place."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._calm_from:
            self._calm_from = loop.time() + _CALM_S
            raise _refusal()
        turn: asyncio.Future[None] = loop.create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(self._max_wait_s):
                await turn
        except TimeoutError as error:
            self._calm_from = loop.time() + _CALM_S
            self._send_away()
            raise _refusal() from error
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place came together with the caller's leaving
                self._leave()
            raise

    def _leave(self) -> None:
        self._free += 1
        self._next()

    def _next(self) -> None:
        """Let the first in line in; the second as soon as the first shows in ``is_busy``."""
        while self._line and self._line[0].done():
            self._line.popleft()
        if self._line and self._has_room():
            self._free -= 1
            self._line.popleft().set_result(None)
            asyncio.get_running_loop().call_later(_ARRIVAL_S, self._next)

    def _send_away(self) -> None:
        for turn in self._line:
            if not turn.done():
                turn.set_exception(_refusal())
        self._line.clear()


def _refusal() -> ApiError:
    return ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _BUSY)
