"""Places, the line for them, and what becomes of it under load."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from app.api.admission import Admission
from app.errors import ApiError, ErrorCode


class _Visit:
    """A request that stays until it is told to go."""

    def __init__(self, admission: Admission) -> None:
        self.is_in = False
        self._go = asyncio.Event()
        self.task = asyncio.create_task(self._stay(admission))

    async def _stay(self, admission: Admission) -> None:
        async with admission.slot() as place:
            self.is_in = True
            place.begin()
            await self._go.wait()
        self.is_in = False

    def leave(self) -> None:
        self._go.set()

    @property
    def is_refused(self) -> bool:
        error = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return isinstance(error, ApiError) and error.code is ErrorCode.REQUEST_LIMIT_EXCEEDED


class _Load:
    is_high = False

    def __call__(self, _: int) -> bool:
        return self.is_high


async def _after(*visits: _Visit, seconds: float = 0.02) -> list[bool]:
    await asyncio.sleep(seconds)
    return [visit.is_in for visit in visits]


async def test_places_are_given_in_the_order_of_arrival() -> None:
    admission = Admission(1, 10, 99)
    first, second, third = (_Visit(admission) for _ in range(3))
    assert await _after(first, second, third) == [True, False, False]
    first.leave()
    assert await _after(second, third) == [True, False]
    second.leave()
    assert await _after(third) == [True]


async def test_nobody_is_let_in_while_those_inside_only_wait() -> None:
    load = _Load()
    admission = Admission(10, 10, 99, load)
    first = _Visit(admission)
    assert await _after(first) == [True]
    load.is_high = True
    second, third, fourth = (_Visit(admission) for _ in range(3))
    assert await _after(second, third, fourth) == [False] * 3
    load.is_high = False
    first.leave()
    assert await _after(second, third, fourth) == [True] * 3


async def test_who_was_let_in_counts_before_it_shows_in_the_load() -> None:
    """Between a place and the work lies the reading of the body; who arrives meanwhile must not crowd in."""
    at_work, reading = 0, [asyncio.Event() for _ in range(5)]
    admission = Admission(10, 10, 99, lambda arriving: at_work + arriving >= 2)

    async def visit(read: asyncio.Event) -> None:
        nonlocal at_work
        async with admission.slot() as place:
            inside.append(read)
            await read.wait()
            at_work += 1
            place.begin()
            await asyncio.sleep(1)

    inside: list[asyncio.Event] = []
    visits = [asyncio.create_task(visit(read)) for read in reading]
    await asyncio.sleep(0.02)
    assert inside == reading[:2]
    reading[0].set()
    await asyncio.sleep(0.02)
    assert inside == reading[:2], "one at work, one still reading"
    at_work -= 1
    reading[1].set()
    await asyncio.sleep(0.02)
    assert inside == reading[:3]
    for one in visits:
        one.cancel()
    await asyncio.gather(*visits, return_exceptions=True)


async def test_the_line_moves_on_when_work_ends_that_nobody_inside_waits_for() -> None:
    load = _Load()
    admission = Admission(10, 10, 99, load)
    load.is_high = True
    waiting = _Visit(admission)
    assert await _after(waiting) == [False]
    load.is_high = False
    assert await _after(waiting, seconds=0.05) == [True]


async def test_the_line_moves_on_when_work_ends_although_somebody_stays_inside() -> None:
    """Who fetches a picture is inside and not at work."""
    load = _Load()
    admission = Admission(10, 10, 99, load)
    fetching = _Visit(admission)
    assert await _after(fetching) == [True]
    load.is_high = True
    waiting = _Visit(admission)
    assert await _after(waiting) == [False]
    load.is_high = False
    assert await _after(waiting, seconds=0.05) == [True]


async def test_who_sends_slowly_keeps_others_out_for_a_moment_only() -> None:
    admission = Admission(10, 10, 99, lambda arriving: arriving >= 2)

    async def send_for_ever() -> None:
        async with admission.slot():
            await asyncio.sleep(60)

    slow = [asyncio.create_task(send_for_ever()) for _ in range(2)]
    await asyncio.sleep(0)
    honest = _Visit(admission)
    assert await _after(honest) == [False]
    assert await _after(honest, seconds=0.2) == [True]
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


@pytest.mark.parametrize("comes", [TimeoutError, asyncio.CancelledError])
async def test_a_place_that_comes_in_the_moment_of_giving_up_is_not_lost(comes: type[BaseException]) -> None:
    admission = Admission(1, 0.05 if comes is TimeoutError else 10, 99)
    inside = _Visit(admission)
    await _after(inside)
    late = _Visit(admission)
    await asyncio.sleep(0.02)
    loop = asyncio.get_running_loop()
    inside.leave()
    if comes is TimeoutError:
        time.sleep(0.05)  # noqa: ASYNC251 - so that the place and the end of the patience fall into one turn of the loop
    else:
        loop.call_soon(lambda: loop.call_soon(late.task.cancel))
    await asyncio.sleep(0.02)
    late.leave()
    await asyncio.gather(late.task, return_exceptions=True)
    visits = [_Visit(admission), _Visit(admission)]
    assert await _after(*visits) == [True, False]
    visits[1].task.cancel()


async def test_who_is_cancelled_while_the_line_is_sent_away_gives_back_no_place() -> None:
    admission = Admission(1, 0.05, 99)
    inside, early, other = (_Visit(admission) for _ in range(3))
    await _after(inside)
    for turn in (0.0, 0.03):
        await asyncio.sleep(turn)
    admission._send_away()
    other.task.cancel()
    await asyncio.gather(early.task, other.task, return_exceptions=True)
    inside.leave()
    await inside.task
    visits = [_Visit(admission), _Visit(admission)]
    assert await _after(*visits) == [True, False]
    visits[1].task.cancel()


async def test_a_line_that_stands_too_long_is_sent_away_and_others_are_told_at_once() -> None:
    admission = Admission(1, 0.1, 99)
    inside = _Visit(admission)
    early = _Visit(admission)
    await asyncio.sleep(0.08)
    late = _Visit(admission)
    await asyncio.sleep(0.04)
    assert (early.is_refused, late.is_refused) == (True, True)
    started = asyncio.get_running_loop().time()
    next_one = _Visit(admission)
    with suppress(ApiError):
        await next_one.task
    assert next_one.is_refused
    assert asyncio.get_running_loop().time() - started < 0.05
    inside.leave()
    assert await _after(_Visit(admission)) == [True]


async def test_after_a_calm_second_requests_wait_in_line_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.admission._CALM_S", 0.1)
    admission = Admission(1, 0.05, 99)
    inside, refused = _Visit(admission), _Visit(admission)
    with suppress(ApiError):
        await refused.task
    assert refused.is_refused
    await asyncio.sleep(0.12)
    waiting = _Visit(admission)
    await asyncio.sleep(0.02)
    assert not waiting.task.done()
    inside.leave()
    assert await _after(waiting) == [True]


async def test_who_leaves_the_line_takes_no_place_along() -> None:
    admission = Admission(1, 10, 99)
    inside, gone, patient = (_Visit(admission) for _ in range(3))
    await _after(inside)
    gone.task.cancel()
    inside.leave()
    assert await _after(patient) == [True]


async def test_who_leaves_as_the_place_comes_gives_it_back() -> None:
    admission = Admission(1, 10, 99)
    inside, gone = _Visit(admission), _Visit(admission)
    await _after(inside)
    inside.leave()
    while not inside.task.done():
        await asyncio.sleep(0)
        if not inside.is_in:
            gone.task.cancel()
    with suppress(asyncio.CancelledError):
        await gone.task
    assert await _after(_Visit(admission)) == [True]


async def test_who_finds_a_full_line_is_told_at_once_and_the_line_stands() -> None:
    admission = Admission(1, 10, 2)
    inside, first, second, third = (_Visit(admission) for _ in range(4))
    await _after(inside)
    assert [each.is_refused for each in (first, second, third)] == [False, False, True]
    inside.leave()
    assert await _after(first) == [True]
    late = _Visit(admission)
    await _after(late)
    assert not late.is_refused, "there is room in the line again"
    first.leave()
    assert await _after(second) == [True]


async def _rotate(visits: list[_Visit], admission: Admission) -> list[_Visit]:
    """Let the one who is in leave, and another join the end of the line."""
    await _after(*visits)
    visits[0].leave()
    await visits[0].task
    return [*visits[1:], _Visit(admission)]


async def test_a_line_that_stays_full_is_sent_away_though_everybody_in_it_is_served_in_time() -> None:
    admission = Admission(1, 1, 2)
    visits = [_Visit(admission) for _ in range(4)]  # one is in, two are in line, one finds it full
    await _after(*visits)
    assert visits.pop().is_refused
    admission._full_since -= 1.5
    one_more = _Visit(admission)
    await _after(one_more)
    assert [visit.is_refused for visit in (*visits, one_more)] == [False, True, True, True]
    visits[0].leave()


async def test_a_line_that_never_ends_but_is_short_does_not_count_against_a_burst() -> None:
    admission = Admission(1, 0.5, 4)
    visits = [_Visit(admission), _Visit(admission)]
    for _ in range(30):  # more than half a second
        visits = await _rotate(visits, admission)
    burst = [_Visit(admission) for _ in range(5)]
    await _after(*burst)
    assert [visit.is_refused for visit in burst] == [False, False, False, True, True]
    for visit in (*visits, *burst):
        visit.task.cancel()


async def test_who_has_left_the_line_takes_no_room_in_it() -> None:
    admission = Admission(1, 10, 1)
    inside, gone = _Visit(admission), _Visit(admission)
    await _after(inside)
    gone.task.cancel()
    await asyncio.sleep(0)
    patient = _Visit(admission)
    await _after(patient)
    assert (patient.is_refused, admission.waiting) == (False, 1)
    inside.leave()
    assert await _after(patient) == [True]
