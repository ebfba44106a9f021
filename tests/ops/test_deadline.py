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


def test_stages_are_kept_however_they_end_and_added_up_by_name() -> None:
    deadline = Deadline.after(60)
    with deadline.stage("find"):
        pass
    with pytest.raises(ZeroDivisionError), deadline.stage("decode"):
        raise ZeroDivisionError
    with deadline.stage("find"):
        pass
    assert [stage.name for stage in deadline.spent] == ["find", "decode", "find"]
    seconds = deadline.seconds()
    assert list(seconds) == ["find", "decode"]
    assert seconds["find"] == pytest.approx(sum(s.ended - s.began for s in deadline.spent if s.name == "find"))


def test_no_stage_begins_once_the_time_is_up() -> None:
    deadline = Deadline.after(-1)
    with pytest.raises(ApiError), deadline.stage("find"):
        raise AssertionError
    assert deadline.spent == []


def test_a_deadline_that_is_ended_is_over_for_everybody_who_has_it() -> None:
    deadline = Deadline.after(60)
    deadline.end()
    assert deadline.remaining() == 0
    with pytest.raises(ApiError):
        deadline.check()
