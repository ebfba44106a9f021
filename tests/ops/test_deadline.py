import pytest

from app.ops.deadline import Deadline, DeadlineExceededError


def test_the_remaining_time_decreases() -> None:
    deadline = Deadline.after(60)
    assert 59 < deadline.remaining() <= 60
    deadline.check()


def test_a_passed_deadline_has_no_time_left() -> None:
    deadline = Deadline.after(-1)
    assert deadline.remaining() == 0
    with pytest.raises(DeadlineExceededError):
        deadline.check()


def test_an_expired_deadline_has_no_time_left() -> None:
    deadline = Deadline.after(60)
    deadline.expire()
    assert deadline.remaining() == 0
    with pytest.raises(DeadlineExceededError):
        deadline.check()
