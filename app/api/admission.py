"""Admission control: slots, and the queue for them.

A request needs a slot before its body is read. Slots are granted in the order of arrival, and only while no image
waits for a worker. Queued requests have not sent their body, so the queue needs little memory.

The worker pool does not count an admitted request until its images are submitted. Until then the request is
*arriving*, and ``is_busy`` counts two images for it.

If a request is still queued after ``max_wait_s``, all queued requests are rejected. New requests that would have to
queue are rejected, too, until one second passes without a rejection. This keeps admitted requests fast under any load
(controlled delay: Nichols and Jacobson, "Controlling Queue Delay", 2012).
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.errors import ApiError, ErrorCode, Text

_OVERLOADED = Text(
    "The service has reached its limit of concurrent requests. Please retry later.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)
REJECTION_COOLDOWN_S = 1.0
"""Seconds without a rejection after which requests may queue again."""
SUBMISSION_DELAY_S = 0.002
"""Seconds from ``start_work`` until the worker pool has the inline images of the request.

Images from URLs are submitted later and are not counted while they download.
"""
ARRIVAL_TIMEOUT_S = 0.1
"""Seconds in which most admitted requests send their body. A slower client delays the queue no longer than this."""
RECHECK_S = 0.01
"""Seconds between checks of the engine's load.

The load also falls while no slot is released: one image of a comparison is done, or a worker ends the work of a
disconnected client.
"""


class Slot:
    """The right to be processed.

    Its request is arriving until ``SUBMISSION_DELAY_S`` after its work starts, or ``ARRIVAL_TIMEOUT_S`` after the slot
    was granted, whichever is first.
    """

    def __init__(self, end_arrival: Callable[["Slot"], None]) -> None:
        self._end_arrival = end_arrival

    def start_work(self) -> None:
        """Report that the engine starts working on the request."""
        asyncio.get_running_loop().call_later(SUBMISSION_DELAY_S, self._end_arrival, self)


class Admission:
    """Grants slots. Belongs to one event loop."""

    def __init__(
        self, max_in_flight: int, max_wait_s: float, max_queued: int, is_busy: Callable[[int], bool] = lambda _: False
    ) -> None:
        """Reject a request that finds the queue full. If the queue has not fallen to half within ``max_wait_s`` of
        becoming full, reject all queued requests, too.

        ``is_busy``: see ``EngineLike`` in ``gateway``.
        """
        self._max_in_flight = max_in_flight
        self._max_wait_s = max_wait_s
        self._max_queued = max_queued
        self._is_busy = is_busy
        self._held: set[Slot] = set()
        self._arriving: set[Slot] = set()
        self._queue: deque[asyncio.Future[Slot]] = deque()
        self._recheck: asyncio.TimerHandle | None = None
        self._rejecting_until = 0.0
        self._full_since = math.inf

    @property
    def queued(self) -> int:
        """Number of queued requests."""
        return len(self._queue)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold one slot; raise ``RequestLimitExceeded`` if none is granted in time."""
        slot = await self._queued_slot() if self._queue or not self._has_capacity() else self._take_slot()
        asyncio.get_running_loop().call_later(ARRIVAL_TIMEOUT_S, self._end_arrival, slot)
        try:
            yield slot
        finally:
            self._release(slot)

    def reject_all(self) -> None:
        """Reject all queued requests. Reject new ones, too, until ``REJECTION_COOLDOWN_S`` pass without a rejection."""
        self._rejecting_until = asyncio.get_running_loop().time() + REJECTION_COOLDOWN_S
        while self._queue:
            self._queue.popleft().set_exception(_rejection())

    def _has_capacity(self) -> bool:
        return len(self._held) < self._max_in_flight and not self._is_busy(len(self._arriving))

    def _take_slot(self) -> Slot:
        slot = Slot(self._end_arrival)
        self._held.add(slot)
        self._arriving.add(slot)
        return slot

    def _end_arrival(self, slot: Slot) -> None:
        self._arriving.discard(slot)
        self._grant_slots()

    def _release(self, slot: Slot) -> None:
        self._held.remove(slot)
        self._end_arrival(slot)

    async def _queued_slot(self) -> Slot:
        granted = self._enqueue()
        try:
            await asyncio.wait({granted}, timeout=self._max_wait_s)
        except asyncio.CancelledError:
            if not granted.done():
                self._queue.remove(granted)
            elif granted.exception() is None:
                self._release(granted.result())
            raise
        if not granted.done():
            self.reject_all()
        return granted.result()

    def _enqueue(self) -> asyncio.Future[Slot]:
        """Return the future slot of a new queued request; raise ``RequestLimitExceeded`` if the queue is full."""
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
        granted: asyncio.Future[Slot] = loop.create_future()
        self._queue.append(granted)
        self._grant_slots()
        return granted

    def _grant_slots(self) -> None:
        """Admit queued requests from the front of the queue while there is capacity."""
        while self._queue and self._has_capacity():
            self._queue.popleft().set_result(self._take_slot())
        if self._recheck:
            self._recheck.cancel()
        loop = asyncio.get_running_loop()
        self._recheck = loop.call_later(RECHECK_S, self._grant_slots) if self._queue else None


def _rejection() -> ApiError:
    return ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _OVERLOADED)
