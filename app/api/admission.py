"""Admission: at most so many requests at work, and none that would only make the others slower.

Who waits has sent no body yet, so waiting costs next to no memory; places are given in the order of arrival. A burst is
served in turn. A line that stands for longer than anybody may wait is no burst: it is sent away, and from then on who
finds no place at once is told so at once, until that has not happened for a second. So under any load those who are
served are served about as fast as ever (the idea of controlled delay: Nichols and Jacobson, "Controlling Queue Delay",
2012).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from app.errors import ApiError, ErrorCode, Text

_BUSY = Text(
    "The service is working on as many requests as it may. Please reduce the frequency of calls.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)
_CALM_S = 1.0
"""Seconds without a refusal after which requests may wait in line again."""

_SHOWS_S = 0.002
"""Seconds after which work that has begun shows in the load."""
_ARRIVES_S = 0.1
"""Seconds in which most requests that were let in have been read; who sends slowly keeps nobody else out for longer."""
_AGAIN_S = 0.01
"""Seconds after which the line is looked at again: work may end although nobody leaves."""

IsBusy: TypeAlias = Callable[[int], bool]
"""Whether one more request would only wait for those at work, and for so many that were let in and do not show yet."""


class Slot:
    """What a request that was let in holds."""

    def __init__(self, shown: Callable[[], None]) -> None:
        self._shown = shown
        self._shows = False

    def begin(self) -> None:
        """Tell that its work begins now."""
        asyncio.get_running_loop().call_later(_SHOWS_S, self.show)

    def show(self) -> None:
        """Count no longer as arriving."""
        if not self._shows:
            self._shows = True
            self._shown()


class Admission:
    """Counts the requests at work; belongs to one event loop."""

    def __init__(
        self, max_in_flight: int, max_wait_s: float, max_waiting: int, is_busy: IsBusy = lambda _: False
    ) -> None:
        """``max_waiting``: who finds so many in line is refused at once; if it stays so, the line is sent away, too."""
        self._free = self._max_in_flight = max_in_flight
        self._max_wait_s = max_wait_s
        self._max_waiting = max_waiting
        self._is_busy = is_busy
        self._arriving = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._again: asyncio.TimerHandle | None = None
        self._calm_from = 0.0
        self._full_since = math.inf

    @property
    def in_flight(self) -> int:
        """Requests that hold a place."""
        return self._max_in_flight - self._free

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._line)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold one place; raise ``RequestLimitExceeded`` if there is none in time."""
        if self._line or not self._has_room():
            await self._wait()
        else:
            self._let_in()
        place = Slot(self._shown)
        asyncio.get_running_loop().call_later(_ARRIVES_S, place.show)
        try:
            yield place
        finally:
            self._free += 1
            place.show()
            self._next()

    def _has_room(self) -> bool:
        return self._free > 0 and not self._is_busy(self._arriving)

    def _let_in(self) -> None:
        self._free -= 1
        self._arriving += 1

    def _shown(self) -> None:
        self._arriving -= 1
        self._next()

    async def _wait(self) -> None:
        """Stand in line for a place."""
        turn = self._joined()
        try:
            async with asyncio.timeout(self._max_wait_s):
                await turn
        except TimeoutError as error:
            if _is_granted(turn):  # in the very moment in which the time was over
                return
            self._send_away()
            raise _refusal() from error
        except asyncio.CancelledError:
            if _is_granted(turn):  # together with the caller's leaving
                self._free += 1
                self._shown()
            elif turn in self._line:
                self._line.remove(turn)
            raise

    def _joined(self) -> asyncio.Future[None]:
        """Return the new end of the line, unless there is none any more, or a full one."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._calm_from:
            self._calm_from = loop.time() + _CALM_S
            raise _refusal()
        if len(self._line) <= self._max_waiting // 2:
            self._full_since = math.inf
        if len(self._line) >= self._max_waiting:
            self._full_since = min(self._full_since, loop.time())
            if loop.time() - self._full_since >= self._max_wait_s:  # though each in it is served in time
                self._send_away()
            raise _refusal()
        turn: asyncio.Future[None] = loop.create_future()
        self._line.append(turn)
        self._look_again()
        return turn

    def _next(self) -> None:
        """Let in who stands first, as long as there is room."""
        while self._line and (self._line[0].done() or self._has_room()):
            turn = self._line.popleft()
            if not turn.done():
                self._let_in()
                turn.set_result(None)
        self._look_again()

    def _look_again(self) -> None:
        if self._line and self._again is None:
            self._again = asyncio.get_running_loop().call_later(_AGAIN_S, self._look)

    def _look(self) -> None:
        self._again = None
        self._next()

    def _send_away(self) -> None:
        self._calm_from = asyncio.get_running_loop().time() + _CALM_S
        for turn in self._line:
            if not turn.done():
                turn.set_exception(_refusal())
        self._line.clear()


def _is_granted(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None


def _refusal() -> ApiError:
    return ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _BUSY)
