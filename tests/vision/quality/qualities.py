"""Strategies and examples of qualities."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from app.domain import Completeness, Quality
from app.vision.quality.score import score

WHOLE = Completeness(100, 100, 100, 100, 100, 100)
FINE = Quality(95, 95, 50, WHOLE)

percents = st.integers(0, 100)
completenesses = st.builds(Completeness, percents, percents, percents, percents, percents, percents)


@st.composite
def qualities(draw: st.DrawFn) -> Quality:
    """Any measures, with the score that belongs to them."""
    sharpness, brightness, completeness = draw(percents), draw(percents), draw(completenesses)
    return Quality(score(sharpness, brightness, completeness), sharpness, brightness, completeness)


@st.composite
def improved(draw: st.DrawFn) -> tuple[Quality, Quality]:
    """A quality, and the same better in one dimension."""
    quality = draw(qualities())
    name = draw(st.sampled_from(["sharpness", "brightness", *WHOLE.__slots__]))
    sharpness, brightness, completeness = quality.sharpness, quality.brightness, quality.completeness
    if name == "sharpness":
        sharpness = draw(st.integers(sharpness, 100))
    elif name == "brightness":
        brightness = draw(st.integers(*sorted((brightness, 50))))
    else:
        completeness = replace(completeness, **{name: draw(st.integers(getattr(completeness, name), 100))})
    better = Quality(score(sharpness, brightness, completeness), sharpness, brightness, completeness)
    return quality, better
