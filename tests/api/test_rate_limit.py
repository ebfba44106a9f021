import numpy as np
import pytest

from app.api.rate_limit import BYTES_PER_PROCESS, RateLimiter
from app.errors import ApiError, ErrorCode


def test_calls_of_the_current_second_are_counted_by_caller_and_action() -> None:
    now = 100.0
    limiter = RateLimiter(clock=lambda: now)
    for _ in range(2):
        limiter.count("a", "CompareFace", 2)
    with pytest.raises(ApiError) as caught:
        limiter.count("a", "CompareFace", 2)
    assert caught.value.code is ErrorCode.REQUEST_LIMIT_EXCEEDED
    assert caught.value.text.en == (
        "Your current request times equals to `3` in a second, which exceeds the frequency limit `2` for a second. "
        "Please reduce the frequency of calls."
    )
    assert caught.value.text.zh == "您当前每秒请求 `3` 次，超过了每秒频率上限 `2`，请稍后重试。"
    limiter.count("a", "DetectFace", 2)
    limiter.count("b", "CompareFace", 2)
    now = 101.0
    limiter.count("a", "CompareFace", 2)


def _accepted(limiter: RateLimiter, secret_id: str, limit: int) -> bool:
    try:
        limiter.count(secret_id, "CompareFace", limit)
    except ApiError:
        return False
    return True


def test_processes_count_together() -> None:
    memory = np.zeros(3 * BYTES_PER_PROCESS, np.uint8)
    limiters = [RateLimiter(memory, row, clock=lambda: 7.0) for row in range(3)]
    calls = [_accepted(limiters[number % 3], "a", 5) for number in range(9)]
    assert calls == [True] * 5 + [False] * 4
    assert _accepted(limiters[0], "b", 5)


def test_a_process_that_is_already_in_the_next_second_does_not_count() -> None:
    memory = np.zeros(2 * BYTES_PER_PROCESS, np.uint8)
    assert _accepted(RateLimiter(memory, 0, clock=lambda: 8.0), "a", 1)
    assert _accepted(RateLimiter(memory, 1, clock=lambda: 7.9), "a", 1)


def test_a_replaced_process_continues_the_counts_of_its_row() -> None:
    memory = np.zeros(2 * BYTES_PER_PROCESS, np.uint8)
    killed = RateLimiter(memory, 1, clock=lambda: 7.0)
    assert [_accepted(killed, "a", 2) for _ in range(2)] == [True, True]
    assert not _accepted(RateLimiter(memory, 1, clock=lambda: 7.0), "a", 2)


def test_more_callers_than_entries_do_not_block_each_other() -> None:
    now = 7.0
    limiter = RateLimiter(clock=lambda: now)
    assert all(_accepted(limiter, f"caller {number}", 1) for number in range(1500))
    now = 8.0
    assert [_accepted(limiter, "caller 0", 1) for _ in range(2)] == [True, False]
