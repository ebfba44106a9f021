"""Slots, the queue, overload, and rate limits."""

import asyncio
import time
from contextlib import suppress

import pytest

from app.api.admission import Admission
from app.errors import ApiError, ErrorCode


class _Request:
    """A request that holds its slot until it is finished."""

    def __init__(self, admission: Admission) -> None:
        self.is_admitted = False
        self._finished = asyncio.Event()
        self.task = asyncio.create_task(self._run(admission))

    async def _run(self, admission: Admission) -> None:
        async with admission.slot() as slot:
            self.is_admitted = True
            slot.start_work()
            await self._finished.wait()
        self.is_admitted = False

    def finish(self) -> None:
        self._finished.set()

    @property
    def is_rejected(self) -> bool:
        error = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return isinstance(error, ApiError) and error.code is ErrorCode.REQUEST_LIMIT_EXCEEDED


class _Load:
    is_high = False

    def __call__(self, _: int) -> bool:
        return self.is_high


async def _admitted_after(*requests: _Request, seconds: float = 0.02) -> list[bool]:
    await asyncio.sleep(seconds)
    return [request.is_admitted for request in requests]


async def test_slots_are_granted_in_the_order_of_arrival() -> None:
    admission = Admission(1, 10, 99)
    first, second, third = (_Request(admission) for _ in range(3))
    assert await _admitted_after(first, second, third) == [True, False, False]
    first.finish()
    assert await _admitted_after(second, third) == [True, False]
    second.finish()
    assert await _admitted_after(third) == [True]


async def test_no_request_is_admitted_while_the_engine_is_busy() -> None:
    load = _Load()
    admission = Admission(10, 10, 99, load)
    first = _Request(admission)
    assert await _admitted_after(first) == [True]
    load.is_high = True
    second, third, fourth = (_Request(admission) for _ in range(3))
    assert await _admitted_after(second, third, fourth) == [False] * 3
    load.is_high = False
    first.finish()
    assert await _admitted_after(second, third, fourth) == [True] * 3


async def test_an_admitted_request_counts_as_arriving_until_its_work_is_in_the_load() -> None:
    """While admitted requests send their bodies, the load does not contain them yet."""
    working, bodies = 0, [asyncio.Event() for _ in range(5)]
    admission = Admission(10, 10, 99, lambda arriving: working + arriving >= 2)

    async def run(body: asyncio.Event) -> None:
        nonlocal working
        async with admission.slot() as slot:
            admitted.append(body)
            await body.wait()
            working += 1
            slot.start_work()
            await asyncio.sleep(1)

    admitted: list[asyncio.Event] = []
    tasks = [asyncio.create_task(run(body)) for body in bodies]
    await asyncio.sleep(0.02)
    assert admitted == bodies[:2]
    bodies[0].set()
    await asyncio.sleep(0.02)
    assert admitted == bodies[:2], "one request works, one still sends its body"
    working -= 1
    bodies[1].set()
    await asyncio.sleep(0.02)
    assert admitted == bodies[:3]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_queued_requests_are_admitted_when_the_load_falls_without_a_request_ending() -> None:
    load = _Load()
    admission = Admission(10, 10, 99, load)
    load.is_high = True
    queued = _Request(admission)
    assert await _admitted_after(queued) == [False]
    load.is_high = False
    assert await _admitted_after(queued, seconds=0.05) == [True]


async def test_queued_requests_are_admitted_when_the_load_falls_while_a_slot_is_held() -> None:
    """A request that fetches an image holds a slot without adding to the load."""
    load = _Load()
    admission = Admission(10, 10, 99, load)
    fetching = _Request(admission)
    assert await _admitted_after(fetching) == [True]
    load.is_high = True
    queued = _Request(admission)
    assert await _admitted_after(queued) == [False]
    load.is_high = False
    assert await _admitted_after(queued, seconds=0.05) == [True]


async def test_slow_senders_delay_the_queue_only_until_the_arrival_timeout() -> None:
    admission = Admission(10, 10, 99, lambda arriving: arriving >= 2)

    async def send_slowly() -> None:
        async with admission.slot():
            await asyncio.sleep(60)

    slow = [asyncio.create_task(send_slowly()) for _ in range(2)]
    await asyncio.sleep(0)
    queued = _Request(admission)
    assert await _admitted_after(queued) == [False]
    assert await _admitted_after(queued, seconds=0.2) == [True]
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


@pytest.mark.parametrize("exception", [TimeoutError, asyncio.CancelledError])
async def test_a_slot_granted_at_the_moment_of_timeout_or_cancellation_is_not_lost(
    exception: type[BaseException],
) -> None:
    admission = Admission(1, 0.05 if exception is TimeoutError else 10, 99)
    running = _Request(admission)
    await _admitted_after(running)
    queued = _Request(admission)
    await asyncio.sleep(0.02)
    loop = asyncio.get_running_loop()
    running.finish()
    if exception is TimeoutError:
        time.sleep(0.05)  # noqa: ASYNC251 - so that the grant and the timeout fall into one iteration of the loop
    else:
        loop.call_soon(lambda: loop.call_soon(queued.task.cancel))
    await asyncio.sleep(0.02)
    queued.finish()
    await asyncio.gather(queued.task, return_exceptions=True)
    requests = [_Request(admission), _Request(admission)]
    assert await _admitted_after(*requests) == [True, False]
    requests[1].task.cancel()


async def test_a_request_cancelled_while_the_queue_is_rejected_returns_no_slot() -> None:
    admission = Admission(1, 0.05, 99)
    running, first, second = (_Request(admission) for _ in range(3))
    await _admitted_after(running)
    for pause in (0.0, 0.03):
        await asyncio.sleep(pause)
    admission.reject_all()
    second.task.cancel()
    await asyncio.gather(first.task, second.task, return_exceptions=True)
    running.finish()
    await running.task
    requests = [_Request(admission), _Request(admission)]
    assert await _admitted_after(*requests) == [True, False]
    requests[1].task.cancel()


async def test_a_queue_that_does_not_drain_is_rejected_and_new_requests_are_rejected_immediately() -> None:
    admission = Admission(1, 0.1, 99)
    running = _Request(admission)
    early = _Request(admission)
    await asyncio.sleep(0.08)
    late = _Request(admission)
    await asyncio.sleep(0.04)
    assert (early.is_rejected, late.is_rejected) == (True, True)
    started = asyncio.get_running_loop().time()
    new = _Request(admission)
    with suppress(ApiError):
        await new.task
    assert new.is_rejected
    assert asyncio.get_running_loop().time() - started < 0.05
    running.finish()
    assert await _admitted_after(_Request(admission)) == [True]


async def test_requests_queue_again_after_the_cooldown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.admission.REJECTION_COOLDOWN_S", 0.1)
    admission = Admission(1, 0.05, 99)
    running, rejected = _Request(admission), _Request(admission)
    with suppress(ApiError):
        await rejected.task
    assert rejected.is_rejected
    await asyncio.sleep(0.12)
    queued = _Request(admission)
    await asyncio.sleep(0.02)
    assert not queued.task.done()
    running.finish()
    assert await _admitted_after(queued) == [True]


async def test_a_cancelled_queued_request_takes_no_slot() -> None:
    admission = Admission(1, 10, 99)
    running, cancelled, queued = (_Request(admission) for _ in range(3))
    await _admitted_after(running)
    cancelled.task.cancel()
    running.finish()
    assert await _admitted_after(queued) == [True]


async def test_a_request_cancelled_as_its_slot_is_granted_returns_it() -> None:
    admission = Admission(1, 10, 99)
    running, cancelled = _Request(admission), _Request(admission)
    await _admitted_after(running)
    running.finish()
    while not running.task.done():
        await asyncio.sleep(0)
        if not running.is_admitted:
            cancelled.task.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled.task
    assert await _admitted_after(_Request(admission)) == [True]


async def test_a_full_queue_rejects_new_requests_and_keeps_the_queued_ones() -> None:
    admission = Admission(1, 10, 2)
    running, first, second, third = (_Request(admission) for _ in range(4))
    await _admitted_after(running)
    assert [request.is_rejected for request in (first, second, third)] == [False, False, True]
    running.finish()
    assert await _admitted_after(first) == [True]
    late = _Request(admission)
    await _admitted_after(late)
    assert not late.is_rejected, "the queue has a free position again"
    first.finish()
    assert await _admitted_after(second) == [True]


async def test_a_queue_that_stays_full_is_rejected_although_its_requests_are_served_in_time() -> None:
    admission = Admission(1, 1, 2)
    requests = [_Request(admission) for _ in range(4)]  # one is admitted, two are queued, one finds a full queue
    await _admitted_after(*requests)
    assert requests.pop().is_rejected
    admission._full_since -= 1.5
    new = _Request(admission)
    await _admitted_after(new)
    assert [request.is_rejected for request in (*requests, new)] == [False, True, True, True]
    requests[0].finish()


async def _finish_first(requests: list[_Request], admission: Admission) -> list[_Request]:
    """Finish the admitted request and queue a new one."""
    await _admitted_after(*requests)
    requests[0].finish()
    await requests[0].task
    return [*requests[1:], _Request(admission)]


async def test_a_short_queue_that_never_empties_does_not_shorten_the_queue_for_a_burst() -> None:
    admission = Admission(1, 0.5, 4)
    requests = [_Request(admission), _Request(admission)]
    for _ in range(30):  # more than half a second
        requests = await _finish_first(requests, admission)
    burst = [_Request(admission) for _ in range(5)]
    await _admitted_after(*burst)
    assert [request.is_rejected for request in burst] == [False, False, False, True, True]
    for request in (*requests, *burst):
        request.task.cancel()


async def test_a_cancelled_request_frees_its_position_in_the_queue() -> None:
    admission = Admission(1, 10, 1)
    running, cancelled = _Request(admission), _Request(admission)
    await _admitted_after(running)
    cancelled.task.cancel()
    await asyncio.sleep(0)
    queued = _Request(admission)
    await _admitted_after(queued)
    assert (queued.is_rejected, admission.queued) == (False, 1)
    running.finish()
    assert await _admitted_after(queued) == [True]
