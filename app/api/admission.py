"""Admission control: slots, the queue for them, and rate limits.

A request needs a slot before its body is read. Slots are granted in the order of arrival, and only while one more
request would not slow down the others. Queued requests have not sent their body, so the queue needs little memory.

If a request is still queued after ``max_wait_s``, all queued requests are rejected, and so are new ones until one
second passes without a rejection. This keeps admitted requests fast under any load (controlled delay: Nichols and
Jacobson, "Controlling Queue Delay", 2012).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from app.errors import ApiError, ErrorCode, Text

_OVERLOADED = Text(
    "The service is working on as many requests as it may. Please reduce the frequency of calls.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)
REJECTION_COOLDOWN_S = 1.0
"""Seconds without a rejection after which requests may queue again."""
LOAD_VISIBLE_S = 0.002
"""Seconds after which started work is visible in the engine's load."""
ARRIVAL_TIMEOUT_S = 0.1
"""Seconds in which most admitted requests send their body. A slower client delays the queue no longer than this."""
RECHECK_S = 0.01
"""Seconds between checks of the engine's load: work may end without a request ending."""

IsBusy: TypeAlias = Callable[[int], bool]
"""Whether one more request would have to wait, given the number of admitted requests not yet visible in the load."""


class Slot:
    """The right to be processed. Its request counts as arriving until its work is visible in the load."""

    def __init__(self, on_arrived: Callable[[], None]) -> None:
        self._on_arrived = on_arrived
        self._has_arrived = False

    def start_work(self) -> None:
        """Report that the engine starts working on the request."""
        asyncio.get_running_loop().call_later(LOAD_VISIBLE_S, self.end_arrival)

    def end_arrival(self) -> None:
        """Stop counting the request as arriving."""
        if not self._has_arrived:
            self._has_arrived = True
            self._on_arrived()


class Admission:
    """Grants slots. Belongs to one event loop."""

    def __init__(
        self, max_in_flight: int, max_wait_s: float, max_queued: int, is_busy: IsBusy = lambda _: False
    ) -> None:
        """If the queue stays at ``max_queued`` requests for ``max_wait_s``, it is rejected as a whole."""
        self._free = self._max_in_flight = max_in_flight
        self._max_wait_s = max_wait_s
        self._max_queued = max_queued
        self._is_busy = is_busy
        self._arriving = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._recheck: asyncio.TimerHandle | None = None
        self._rejecting_until = 0.0
        self._full_since = math.inf

    @property
    def in_flight(self) -> int:
        """Number of requests that hold a slot."""
        return self._max_in_flight - self._free

    @property
    def queued(self) -> int:
        """Number of queued requests."""
        return len(self._queue)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold one slot; raise ``RequestLimitExceeded`` if none is granted in time."""
        if self._queue or not self._has_capacity():
            await self._wait_for_slot()
        else:
            self._take_slot()
        slot = Slot(self._end_arrival)
        asyncio.get_running_loop().call_later(ARRIVAL_TIMEOUT_S, slot.end_arrival)
        try:
            yield slot
        finally:
            self._free += 1
            slot.end_arrival()
            self._grant_slots()

    def reject_all(self) -> None:
        """Reject all queued requests, and new ones until ``REJECTION_COOLDOWN_S`` pass without a rejection."""
        self._rejecting_until = asyncio.get_running_loop().time() + REJECTION_COOLDOWN_S
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(_rejection())
        self._queue.clear()

    def _has_capacity(self) -> bool:
        return self._free > 0 and not self._is_busy(self._arriving)

    def _take_slot(self) -> None:
        self._free -= 1
        self._arriving += 1

    def _end_arrival(self) -> None:
        self._arriving -= 1
        self._grant_slots()

    async def _wait_for_slot(self) -> None:
        waiter = self._enqueue()
        try:
            async with asyncio.timeout(self._max_wait_s):
                await waiter
        except TimeoutError as error:
            if _is_granted(waiter):  # in the same iteration of the event loop as the timeout
                return
            self.reject_all()
            raise _rejection() from error
        except asyncio.CancelledError:
            if _is_granted(waiter):  # in the same iteration of the event loop as the cancellation
                self._free += 1
                self._end_arrival()
            elif waiter in self._queue:
                self._queue.remove(waiter)
            raise

    def _enqueue(self) -> asyncio.Future[None]:
        """Return a new waiter at the end of the queue; raise ``RequestLimitExceeded`` if the queue takes no more."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rejecting_until:
            self._rejecting_until = loop.time() + REJECTION_COOLDOWN_S
            raise _rejection()
        if len(self._queue) <= self._max_queued // 2:
            self._full_since = math.inf
        if len(self._queue) >= self._max_queued:
            self._full_since = min(self._full_since, loop.time())
            if loop.time() - self._full_since >= self._max_wait_s:
                self.reject_all()
            raise _rejection()
        waiter: asyncio.Future[None] = loop.create_future()
        self._queue.append(waiter)
        self._schedule_recheck()
        return waiter

    def _grant_slots(self) -> None:
        """Admit queued requests from the front of the queue while there is capacity."""
        while self._queue and (self._queue[0].done() or self._has_capacity()):
            waiter = self._queue.popleft()
            if not waiter.done():
                self._take_slot()
                waiter.set_result(None)
        self._schedule_recheck()

    def _schedule_recheck(self) -> None:
        if self._queue and self._recheck is None:
            self._recheck = asyncio.get_running_loop().call_later(RECHECK_S, self._run_recheck)

    def _run_recheck(self) -> None:
        self._recheck = None
        self._grant_slots()


def _is_granted(waiter: asyncio.Future[None]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _rejection() -> ApiError:
    return ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _OVERLOADED)


class RateLimiter:
    """Counts the calls of each SecretId and action in the current second (vendor document "Request frequency limit").

    Belongs to one event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._calls: dict[tuple[str, str], int] = {}

    def count(self, secret_id: str, action: str, max_per_second: int) -> None:
        """Count one call; raise ``RequestLimitExceeded`` if it is more than ``max_per_second``."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._calls = second, {}
        calls = self._calls[secret_id, action] = self._calls.get((secret_id, action), 0) + 1
        if calls > max_per_second:
            raise ApiError(
                ErrorCode.REQUEST_LIMIT_EXCEEDED,
                Text(
                    f"Your current request times equals to `{calls}` in a second, which exceeds the frequency limit "
                    f"`{max_per_second}` for a second. Please reduce the frequency of calls.",
                    f"您当前每秒请求 `{calls}` 次，超过了每秒频率上限 `{max_per_second}`，请稍后重试。",
                ),
            )
