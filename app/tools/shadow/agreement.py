"""How far two services agree: pairs of outcomes in, a summary out.

A service decides "same person" if its score reaches its threshold; an error counts as "not accepted". Intervals are
Wilson's for independent pairs. They are too narrow if few people appear in many requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.scoring.intervals import binomial
from app.tools.shadow.records import OK, Outcome, OutcomePair, Thresholds

_QUANTILES = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
_MIN_DISTINCT_SCORES = 3
"""Fewer scores give no meaningful correlation."""


def summarize(pairs: Collection[OutcomePair], thresholds: Thresholds, resumed: int = 0) -> dict[str, object]:
    """Return the summary as plain data. ``resumed``: number of pairs that an earlier run recorded."""
    decisions = Counter(_decisions(pair, thresholds) for pair in pairs)
    scored = [pair for pair in pairs if pair.local.code == pair.remote.code == OK]
    same_decision = decisions[True, True] + decisions[False, False]
    same_decision_of_scored = sum(local == remote for local, remote in (_decisions(p, thresholds) for p in scored))
    return {
        "requests": len(pairs),
        "resumed": resumed,
        "thresholds": thresholds._asdict(),
        "same_decision": _share(same_decision, len(pairs)),
        "same_decision_of_scored": _share(same_decision_of_scored, len(scored)),
        "same_code": _share(sum(pair.local.code == pair.remote.code for pair in pairs), len(pairs)),
        "decisions": {
            "accepted_by_both": decisions[True, True],
            "only_local": decisions[True, False],
            "only_remote": decisions[False, True],
            "by_neither": decisions[False, False],
        },
        "codes": [
            {"local": local, "remote": remote, "requests": count}
            for (local, remote), count in Counter((p.local.code, p.remote.code) for p in pairs).most_common()
        ],
        "correlation": _correlation(scored),
        "local": _latency([pair.local for pair in pairs]),
        "remote": _latency([pair.remote for pair in pairs]),
    }


def _decisions(pair: OutcomePair, thresholds: Thresholds) -> tuple[bool, bool]:
    """Return whether the local and the remote service accept the pair."""
    return pair.local.accepted_at(thresholds.local), pair.remote.accepted_at(thresholds.remote)


def _share(hits: int, total: int) -> dict[str, float | int] | None:
    return {"total": total, **binomial(hits, total)._asdict()} if total else None


def _correlation(scored: Sequence[OutcomePair]) -> dict[str, float] | None:
    """Return Pearson's and Spearman's coefficients; None if either service has too few distinct scores."""
    scores = np.array([(pair.local.score, pair.remote.score) for pair in scored], dtype=np.float64).reshape(-1, 2)
    if any(len(np.unique(side)) < _MIN_DISTINCT_SCORES for side in scores.T):
        return None
    local, remote = scores.T
    return {
        "pearson": float(np.corrcoef(local, remote)[0, 1]),
        "spearman": float(np.corrcoef(_ranks(local), _ranks(remote))[0, 1]),
    }


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal values have the mean of their ranks."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(last - (counts - 1) / 2, dtype=np.float64)[position]


def _latency(outcomes: Sequence[Outcome]) -> dict[str, float] | None:
    latencies = [outcome.ms for outcome in outcomes if outcome.ms is not None]
    if not latencies:
        return None
    return {name: round(float(np.quantile(latencies, quantile)), 1) for name, quantile in _QUANTILES.items()}


def format_summary(summary: Mapping[str, object]) -> list[str]:
    """Return a summary as text: a name and its value on each line, then the table of codes."""
    lines = [f"{name.replace('_', ' '):<26}{_text(value)}" for name, value in summary.items() if name != "codes"]
    codes = summary["codes"]
    rows = codes if isinstance(codes, list) else []
    width = max((len(row["local"]) for row in rows), default=0)
    table = [f"{row['requests']:>8}  local {row['local']:<{width}}  remote {row['remote']}" for row in rows]
    return [*lines, *table]


def _text(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return str(value)
    if "low" in value:
        return f"{100 * value['value']:.2f} % [{100 * value['low']:.2f}, {100 * value['high']:.2f}] of {value['total']}"
    return ", ".join(f"{name.replace('_', ' ')} {round(number, 3):.12g}" for name, number in value.items())
