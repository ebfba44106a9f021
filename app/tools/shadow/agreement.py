"""How far two services agree: results in, a summary out. Plain counting; what is counted as what is said here.

A decision is "the same person" where a service gave a score of its threshold or more; an error is "not accepted", as
it is for an application. Intervals are Wilson's, for pairs that are independent; where few people stand behind many
requests the truth is less certain than they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.scoring.intervals import binomial
from app.tools.shadow.records import OK, Outcome, Pair, Thresholds

_QUANTILES = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
_AT_LEAST = 3
"""Scores that a correlation needs to say anything."""


def summary(pairs: Collection[Pair], thresholds: Thresholds, before: int = 0) -> dict[str, object]:
    """Return all that is told, as plain data. ``before``: how many of the pairs are of an earlier run."""
    decided = Counter((p.here.accepted_at(thresholds.here), p.there.accepted_at(thresholds.there)) for p in pairs)
    scored = [pair for pair in pairs if pair.here.code == pair.there.code == OK]
    decided_alike = decided[True, True] + decided[False, False]
    scored_alike = sum(p.here.accepted_at(thresholds.here) == p.there.accepted_at(thresholds.there) for p in scored)
    return {
        "requests": len(pairs),
        "asked_before": before,
        "thresholds": thresholds._asdict(),
        "same_decision": _share(decided_alike, len(pairs)),
        "same_decision_of_scored": _share(scored_alike, len(scored)),
        "same_code": _share(sum(pair.here.code == pair.there.code for pair in pairs), len(pairs)),
        "decisions": {
            "accepted_by_both": decided[True, True],
            "only_here": decided[True, False],
            "only_there": decided[False, True],
            "by_neither": decided[False, False],
        },
        "codes": [
            {"here": here, "there": there, "requests": count}
            for (here, there), count in Counter((p.here.code, p.there.code) for p in pairs).most_common()
        ],
        "correlation": _correlation(scored),
        "here": _latency([pair.here for pair in pairs]),
        "there": _latency([pair.there for pair in pairs]),
    }


def _share(hits: int, of: int) -> dict[str, float | int] | None:
    return {"of": of, **binomial(hits, of)._asdict()} if of else None


def _correlation(scored: Sequence[Pair]) -> dict[str, float] | None:
    """Pearson's of the scores, Spearman's of their ranks; None where either side has too few different scores."""
    scores = np.array([(pair.here.score, pair.there.score) for pair in scored], dtype=np.float64).reshape(-1, 2)
    if any(len(np.unique(side)) < _AT_LEAST for side in scores.T):
        return None
    here, there = scores.T
    return {
        "pearson": float(np.corrcoef(here, there)[0, 1]),
        "spearman": float(np.corrcoef(_ranks(here), _ranks(there))[0, 1]),
    }


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal values share the mean of theirs."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(last - (counts - 1) / 2, dtype=np.float64)[position]


def _latency(outcomes: Sequence[Outcome]) -> dict[str, float] | None:
    taken = [outcome.ms for outcome in outcomes if outcome.ms is not None]
    if not taken:
        return None
    return {name: round(float(np.quantile(taken, quantile)), 1) for name, quantile in _QUANTILES.items()}


def lines(told: Mapping[str, object]) -> list[str]:
    """Return a summary as text: a name and what it is on each line, then the table of codes."""
    rows = [(name, _text(value)) for name, value in told.items() if name != "codes"]
    codes = told["codes"]
    table = (
        [(f"{each['requests']:>8}", each["here"], each["there"]) for each in codes] if isinstance(codes, list) else []
    )
    wide = max((len(here) for _, here, _ in table), default=0)
    return [
        *(f"{name.replace('_', ' '):<26}{text}" for name, text in rows),
        *(f"{count}  here {here:<{wide}}  there {there}" for count, here, there in table),
    ]


def _text(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return str(value)
    if "low" in value:
        return f"{100 * value['value']:.2f} % [{100 * value['low']:.2f}, {100 * value['high']:.2f}] of {value['of']}"
    named = (f"{name.replace('_', ' ')} {round(each, 3):.12g}" for name, each in value.items())
    return ", ".join(named)
