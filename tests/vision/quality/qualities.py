"""Hypothesis strategies for qualities, and examples."""

from dataclasses import replace

from hypothesis import strategies as st

from app.domain import Artifact, Completeness, Quality, Tones
from app.vision.quality.assessment import quality_score

COMPLETE = Completeness(100, 100, 100, 100, 100, 100)
GOOD = Quality(95, 95, 50, COMPLETE)

percents = st.integers(0, 100)
tones = st.sampled_from(Tones)
artifacts = st.sampled_from(Artifact)
completenesses = st.builds(Completeness, percents, percents, percents, percents, percents, percents)


@st.composite
def qualities(draw: st.DrawFn) -> Quality:
    """Draw any measures, with the score that follows from them."""
    measures = draw(percents), draw(percents), draw(completenesses), draw(tones), draw(artifacts)
    return Quality(quality_score(*measures), *measures)


@st.composite
def improvements(draw: st.DrawFn) -> tuple[Quality, Quality]:
    """Draw a quality, and the same quality with one better measure."""
    quality = draw(qualities())
    measure = draw(st.sampled_from(["sharpness", "brightness", "tones", "artifact", *COMPLETE.__slots__]))
    sharpness, brightness, completeness = quality.sharpness, quality.brightness, quality.completeness
    better_tones, better_artifact = quality.tones, quality.artifact
    if measure == "sharpness":
        sharpness = draw(st.integers(sharpness, 100))
    elif measure == "brightness":
        brightness = draw(st.integers(*sorted((brightness, 50))))
    elif measure == "tones":
        better_tones = Tones.NATURAL
    elif measure == "artifact":
        better_artifact = Artifact.NONE
    else:
        better_percent = draw(st.integers(getattr(completeness, measure), 100))
        completeness = replace(completeness, **{measure: better_percent})
    measures = sharpness, brightness, completeness, better_tones, better_artifact
    return quality, Quality(quality_score(*measures), *measures)
