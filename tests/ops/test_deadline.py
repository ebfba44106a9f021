from __future__ import annotations

import pytest

from app.errors import ApiError, ErrorCode
from app.ops.deadline import Deadline


def test_a_deadline_counts_down() -> None:
    deadline = Deadline.after(60)
    assert 59 < deadline.remaining() <= 60
    deadline.check()


def test_a_deadline_that_has_passed_is_a_timeout_with_nothing_left() -> None:
    deadline = Deadline.after(-1)
    assert deadline.remaining() == 0
    with pytest.raises(ApiError) as caught:
        deadline.check()
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT


def test_a_deadline_that_is_ended_is_over_for_everybody_who_has_it() -> None:
    deadline = Deadline.after(60)
    deadline.end()
    assert deadline.remaining() == 0
    with pytest.raises(ApiError):
        deadline.check()
