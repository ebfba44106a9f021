"""Quality -> its problems in the vendor's words, its grade 0-4, and what ``QualityControl`` makes of it.

The rules are made of the vendor's bands and of its words for each level of ``QualityControl`` (CompareFace page).
"""

from __future__ import annotations

from typing import NamedTuple

from app.domain import Quality, QualityPolicy
from app.vision.quality.bands import BRIGHTNESS, COMPLETENESS, SHARPNESS, Severity, band

_SLIGHT = 10
"""Points from the edge of its band within which a mild problem is slight."""
_UNUSABLE = 20
"""The score below which a picture is of no use, whatever its problems."""
_MOST_MILD = 2
"""Mild problems that grade 3 allows."""


class Problem(NamedTuple):
    """What is wrong with a picture. A severe problem is never slight."""

    text: str
    is_severe: bool
    is_slight: bool


def problems(quality: Quality) -> list[Problem]:
    """Return what is wrong, the severe first; a dimension counts once."""
    lying = [(quality.sharpness, SHARPNESS), (quality.brightness, BRIGHTNESS)]
    lying += [(getattr(quality.completeness, region), bands) for region, bands in COMPLETENESS.items()]
    found = [(value, band(value, bands)) for value, bands in lying]
    return [
        Problem(at.problem, severity is Severity.SEVERE, severity is Severity.MILD and abs(value - at.edge) <= _SLIGHT)
        for severity in (Severity.SEVERE, Severity.MILD)
        for value, at in found
        if at.severity is severity
    ]


def grade(quality: Quality) -> int:
    """Return 4 for the best pictures, 0 for those of no use."""
    if quality.score < _UNUSABLE:
        return 0
    found = problems(quality)
    if any(problem.is_severe for problem in found):
        return 1
    if not found or (len(found) == 1 and found[0].is_slight):
        return 4
    return 3 if len(found) <= _MOST_MILD else 2


def accepts(quality: Quality, level: int, policy: QualityPolicy) -> bool:
    """Tell whether ``QualityControl`` = ``level`` (0-4) lets the face through; 0 lets all through."""
    if level == 0:
        return True
    least = level if policy is QualityPolicy.ACCEPT_DESCRIBED else min(level + 1, 4)
    return grade(quality) >= least
