"""The bands of each measure: what its values are called, and which of them are a problem. One table for all.

Numbers and words are the vendor's (``FaceQualityInfo``, ``FaceQualityCompleteness``, CompareFace page).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from app.errors import Text


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
    problem: Text = Text("", "")
    edge: int = 0


def _region(last: int, severity: Severity, problem: Text) -> tuple[Band, ...]:
    return Band(last, "covered", severity, problem, edge=last), Band(100, "visible")


SHARPNESS = (
    Band(39, "very blurry", Severity.SEVERE, Text("extreme blurriness", "非常模糊"), edge=80),
    Band(59, "blurry", Severity.MILD, Text("blurriness", "模糊"), edge=80),
    Band(79, "average", Severity.MILD, Text("average blurriness", "一般模糊"), edge=80),
    Band(100, "sharp"),
)
BRIGHTNESS = (
    Band(29, "dark", Severity.MILD, Text("excessive dimness", "偏暗"), edge=30),
    Band(70, "normal"),
    Band(100, "bright", Severity.MILD, Text("excessive brightness", "偏亮"), edge=70),
)
COMPLETENESS: Mapping[str, tuple[Band, ...]] = {
    "eyebrow": _region(80, Severity.MILD, Text("covered eyebrows", "眉毛遮挡")),
    "eye": _region(80, Severity.SEVERE, Text("covered eyes", "眼睛遮挡")),
    "nose": _region(60, Severity.SEVERE, Text("covered nose", "鼻子遮挡")),
    "cheek": _region(70, Severity.MILD, Text("covered cheeks", "脸颊遮挡")),
    "mouth": _region(50, Severity.SEVERE, Text("covered mouth", "嘴巴遮挡")),
    "chin": _region(70, Severity.MILD, Text("covered chin", "下巴遮挡")),
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
