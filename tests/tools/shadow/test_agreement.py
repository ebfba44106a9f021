"""The summary of ``compareface shadow``: what it counts, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from app.tools.shadow.agreement import lines, summary
from app.tools.shadow.records import OK, Outcome, Pair, Thresholds


def _outcome(told: float | str) -> Outcome:
    return Outcome(told) if isinstance(told, str) else Outcome(OK, told, 10 * told)


def _pair(here: float | str, there: float | str) -> Pair:
    return Pair("", _outcome(here), _outcome(there))


def test_a_summary_counts_what_it_says() -> None:
    told: Any = summary(
        [_pair(90, 70), _pair(50, 60), _pair(49, 80), _pair(55, "X"), _pair("X", 10), _pair("X", "X"), _pair("X", "Y")],
        Thresholds(50, 70),
    )
    assert told["decisions"] == {"accepted_by_both": 1, "only_here": 2, "only_there": 1, "by_neither": 3}
    assert told["same_decision"]["value"] == pytest.approx(4 / 7)
    wilson = {"of": 3, "value": 1 / 3, "low": 0.0615, "high": 0.7923}
    assert told["same_decision_of_scored"] == pytest.approx(wilson, abs=1e-4)
    assert told["same_code"]["value"] == pytest.approx(4 / 7)
    assert sum(each["requests"] for each in told["codes"]) == 7
    assert told["correlation"] == pytest.approx({"pearson": -0.0214, "spearman": -0.5}, abs=1e-4)
    assert told["here"]["median_ms"] == 525.0


def test_large_counts_keep_their_digits() -> None:
    assert lines({"decisions": {"by_neither": 1_234_567}, "codes": []}) == [f"{'decisions':<26}by neither 1234567"]


def test_equal_scores_share_their_rank() -> None:
    told: Any = summary([_pair(1, 2), _pair(1, 2), _pair(2, 5), _pair(9, 6)], Thresholds(50, 50))
    assert told["correlation"]["spearman"] == pytest.approx(1)


def test_too_few_scores_correlate_with_nothing() -> None:
    told: Any = summary([_pair(1, 2), _pair(1, 3), _pair(1, 4)], Thresholds(50, 50))
    assert told["correlation"] is None
    assert summary([], Thresholds(50, 50))["same_decision"] is None
