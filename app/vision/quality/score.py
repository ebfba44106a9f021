"""Sharpness, brightness, completeness -> one number for the whole picture: the vendor's ``Score``.

[0, 40) is poor, [40, 60) fair, [60, 80) good, from 80 excellent. The vendor's own example of a reply (DetectFace page)
anchors it: sharpness 73, brightness 47, cheeks 52, chin 47, the rest 99 scores 63.
"""

from __future__ import annotations

from dataclasses import asdict

from app.domain import Completeness
from app.vision.quality.bands import BRIGHTNESS

_DIM, _BRIGHT = (one.edge for one in BRIGHTNESS if one.severity)
"""Between them the light is normal and costs nothing."""
_LOSS_WITHOUT_LIGHT = 0.9
"""Share of the score that is lost at a brightness of 0 or 100."""
_LOSS_COVERED = {"eyebrow": 0.15, "eye": 0.5, "nose": 0.4, "cheek": 0.15, "mouth": 0.4, "chin": 0.15}
"""Share of the score that is lost where nothing of a region shows; a sharp face with a mask keeps some 25 points."""


def score(sharpness: int, brightness: int, completeness: Completeness) -> int:
    """Return 0-100; no dimension that gets better lowers it. Never above ``sharpness``."""
    total = float(sharpness)
    total *= 1 - _LOSS_WITHOUT_LIGHT * max(_DIM - brightness, brightness - _BRIGHT, 0) / _DIM
    for name, percent in asdict(completeness).items():
        total *= 1 - _LOSS_COVERED[name] * (1 - percent / 100)
    return round(total)
