"""Agreement of two services: pairs of answers in, a summary out.

A service decides "same person" if its score reaches its threshold; an error counts as "not accepted". Intervals are
Wilson's for independent pairs. They are too narrow if few people appear in many requests.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.tools.evaluation.intervals import binomial
from app.tools.latency import latency_quantiles
from app.tools.shadow.records import OK, Answer, AnswerPair, Thresholds

_MIN_DISTINCT_SCORES = 3
"""Fewer scores give no meaningful correlation."""


def summarise(pairs: Collection[AnswerPair], thresholds: Thresholds, resumed: int = 0) -> dict[str, Any]:
    """Return the summary as plain data. ``resumed``: number of pairs that an earlier run recorded."""
    scored = [pair for pair in pairs if pair.local.code == pair.remote.code == OK]
    decisions = [pair.decisions(thresholds) for pair in pairs]
    counts = Counter(decisions)
    codes = [(pair.local.code, pair.remote.code) for pair in pairs]
    return {
        "requests": len(pairs),
        "resumed": resumed,
        "thresholds": thresholds._asdict(),
        "same_decision": _share_of_equal(decisions),
        "same_decision_of_scored": _share_of_equal([pair.decisions(thresholds) for pair in scored]),
        "same_code": _share_of_equal(codes),
        "decisions": {
            "accepted_by_both": counts[True, True],
            "only_local": counts[True, False],
            "only_remote": counts[False, True],
            "by_neither": counts[False, False],
        },
        "codes": [
            {"local": local, "remote": remote, "requests": count}
            for (local, remote), count in Counter(codes).most_common()
        ],
        "correlation": _correlation(scored),
        "local": _latency(pair.local for pair in pairs),
        "remote": _latency(pair.remote for pair in pairs),
    }


def _share_of_equal(pairs: Sequence[tuple[object, object]]) -> dict[str, float | int] | None:
    """Return the share of pairs with two equal values, and its interval; None without pairs."""
    equal = sum(local == remote for local, remote in pairs)
    return {"total": len(pairs), **binomial(equal, len(pairs))._asdict()} if pairs else None


def _correlation(scored: Sequence[AnswerPair]) -> dict[str, float] | None:
    """Return Pearson's and Spearman's coefficients; None if either service has too few distinct scores."""
    local, remote = (
        np.array([getattr(pair, side).score for pair in scored], dtype=np.float64) for side in ("local", "remote")
    )
    if min(len(np.unique(local)), len(np.unique(remote))) < _MIN_DISTINCT_SCORES:
        return None
    return {"pearson": float(np.corrcoef(local, remote)[0, 1]), "spearman": spearman(local, remote)}


def spearman(one: ArrayLike, other: ArrayLike) -> float:
    """Return the rank correlation; 0 if all values of one side are equal."""
    a, b = _ranks(one), _ranks(other)
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the rank of each value; equal values have the mean of their ranks."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(np.cumsum(counts) - (counts - 1) / 2, dtype=np.float64)[position]


def _latency(answers: Iterable[Answer]) -> dict[str, float | None] | None:
    latencies = [answer.ms for answer in answers if answer.ms is not None]
    return latency_quantiles(latencies) if latencies else None


def format_summary(summary: Mapping[str, Any]) -> list[str]:
    """Return a summary as text: a name and its value on each line, then the table of codes."""
    lines = [f"{name.replace('_', ' '):<26}{_text(value)}" for name, value in summary.items() if name != "codes"]
    rows = summary["codes"]
    width = max((len(row["local"]) for row in rows), default=0)
    return lines + [f"{row['requests']:>8}  local {row['local']:<{width}}  remote {row['remote']}" for row in rows]


def _text(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return str(value)
    if "low" in value:
        return f"{100 * value['value']:.2f} % [{100 * value['low']:.2f}, {100 * value['high']:.2f}] of {value['total']}"
    return ", ".join(f"{name.replace('_', ' ')} {round(number, 3):.12g}" for name, number in value.items())
