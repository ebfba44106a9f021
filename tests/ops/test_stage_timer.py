import pytest

from app.ops.deadline import DeadlineExceededError
from app.ops.stage_timer import StageTimer


def test_stages_are_recorded_even_if_they_fail_and_are_summed_by_name() -> None:
    timer = StageTimer.after(60)
    with timer.stage("detect"):
        pass
    with pytest.raises(ZeroDivisionError), timer.stage("decode"):
        raise ZeroDivisionError
    with timer.stage("detect"):
        pass
    assert [stage.name for stage in timer.stages] == ["detect", "decode", "detect"]
    totals = timer.totals()
    assert list(totals) == ["detect", "decode"]
    assert totals["detect"] == pytest.approx(sum(s.ended_at - s.started_at for s in timer.stages if s.name == "detect"))


def test_no_stage_begins_after_the_deadline() -> None:
    timer = StageTimer.after(-1)
    with pytest.raises(DeadlineExceededError), timer.stage("detect"):
        raise AssertionError
    assert timer.stages == []
