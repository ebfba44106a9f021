"""The summary of ``compareface shadow``: its counts and its text."""

from typing import Any

import pytest

from app.tools.shadow.agreement import format_summary, summarise
from app.tools.shadow.records import OK, Answer, AnswerPair, Thresholds


def _answer(score: float | str) -> Answer:
    return Answer(score, None, None) if isinstance(score, str) else Answer(OK, score, 10 * score)


def _pair(local: float | str, remote: float | str) -> AnswerPair:
    return AnswerPair("", _answer(local), _answer(remote))


def test_decisions_codes_and_correlation_are_counted() -> None:
    summary: Any = summarise(
        [_pair(90, 70), _pair(50, 60), _pair(49, 80), _pair(55, "X"), _pair("X", 10), _pair("X", "X"), _pair("X", "Y")],
        Thresholds(50, 70),
    )
    assert summary["decisions"] == {"accepted_by_both": 1, "only_local": 2, "only_remote": 1, "by_neither": 3}
    assert summary["same_decision"]["value"] == pytest.approx(4 / 7)
    wilson = {"total": 3, "value": 1 / 3, "low": 0.0615, "high": 0.7923}
    assert summary["same_decision_of_scored"] == pytest.approx(wilson, abs=1e-4)
    assert summary["same_code"]["value"] == pytest.approx(4 / 7)
    assert sum(row["requests"] for row in summary["codes"]) == 7
    assert summary["correlation"] == pytest.approx({"pearson": -0.0214, "spearman": -0.5}, abs=1e-4)
    assert summary["local"]["median_ms"] == 525.0


def test_large_counts_keep_their_digits() -> None:
    assert format_summary({"decisions": {"by_neither": 1_234_567}, "codes": []}) == [
        f"{'decisions':<26}by neither 1234567"
    ]


def test_equal_scores_share_their_rank() -> None:
    summary: Any = summarise([_pair(1, 2), _pair(1, 2), _pair(2, 5), _pair(9, 6)], Thresholds(50, 50))
    assert summary["correlation"]["spearman"] == pytest.approx(1)


def test_too_few_scores_have_no_correlation() -> None:
    summary: Any = summarise([_pair(1, 2), _pair(1, 3), _pair(1, 4)], Thresholds(50, 50))
    assert summary["correlation"] is None
    assert summarise([], Thresholds(50, 50))["same_decision"] is None
