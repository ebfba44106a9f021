"""How often one may call in a second."""

from __future__ import annotations

import pytest

from app.api.rates import Rates
from app.errors import ApiError, ErrorCode


def test_calls_of_one_second_are_counted_by_caller_and_action() -> None:
    now = 100.0
    rates = Rates(lambda: now)
    for _ in range(2):
        rates.count("a", "CompareFace", 2)
    with pytest.raises(ApiError) as caught:
        rates.count("a", "CompareFace", 2)
    assert caught.value.code is ErrorCode.REQUEST_LIMIT_EXCEEDED
    assert caught.value.text.en == (
        "Your current request times equals to `3` in a second, which exceeds the frequency limit `2` for a second. "
        "Please reduce the frequency of calls."
    )
    assert caught.value.text.zh == "您当前每秒请求 `3` 次，超过了每秒频率上限 `2`，请稍后重试。"
    rates.count("a", "DetectFace", 2)
    rates.count("b", "CompareFace", 2)
    now = 101.0
    rates.count("a", "CompareFace", 2)
