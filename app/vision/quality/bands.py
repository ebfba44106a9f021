"""The bands of each measure: what its values are called, and which of them are a problem. One table for all.

Numbers and words are the vendor's (``FaceQualityInfo``, ``FaceQualityCompleteness``, CompareFace page).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class Severity(IntEnum):
    """How bad it is that a value lies in a band."""

    NONE = 0
    MILD = 1
    SEVERE = 2


class Band(NamedTuple):
    """The values up to and including ``last`` that the band before leaves.

    ``problem`` is what it is called; ``edge`` is where the good values begin, seen from here.
    """

    last: int
    word: str
    severity: Severity = Severity.NONE
    problem: str = ""
    edge: int = 0


def _region(last: int, severity: Severity, problem: str) -> tuple[Band, ...]:
    return Band(last, "covered", severity, problem, edge=last), Band(100, "visible")


SHARPNESS = (
    Band(39, "very blurry", Severity.SEVERE, "extreme blurriness", edge=80),
    Band(59, "blurry", Severity.MILD, "blurriness", edge=80),
    Band(79, "average", Severity.MILD, "average blurriness", edge=80),
    Band(100, "sharp"),
)
BRIGHTNESS = (
    Band(29, "dark", Severity.MILD, "excessive dimness", edge=30),
    Band(70, "normal"),
    Band(100, "bright", Severity.MILD, "excessive brightness", edge=70),
)
COMPLETENESS: Mapping[str, tuple[Band, ...]] = {
    "eyebrow": _region(80, Severity.MILD, "covered eyebrows"),
    "eye": _region(80, Severity.SEVERE, "covered eyes"),
    "nose": _region(60, Severity.SEVERE, "covered nose"),
    "cheek": _region(70, Severity.MILD, "covered cheeks"),
    "mouth": _region(50, Severity.SEVERE, "covered mouth"),
    "chin": _region(70, Severity.MILD, "covered chin"),
}
SCORE = (
    Band(39, "poor", Severity.SEVERE),
    Band(59, "fair", Severity.MILD),
    Band(79, "good"),
    Band(100, "excellent"),
)
"""Only words: a score is made of the others and is no problem of its own."""


def band(value: int, bands: tuple[Band, ...]) -> Band:
    """Return the one in which ``value``, 0-100, lies."""
    return next(one for one in bands if value <= one.last)


def is_covered(percent: int, region: str) -> bool:
    """Tell whether a region of which ``percent`` is visible counts as covered."""
    return band(percent, COMPLETENESS[region]).severity is not Severity.NONE
