"""How many pairs and people a FAR needs: one rule for ``evaluate``, ``calibrate`` and the report."""

import math
from collections.abc import Sequence

from app.domain import FaceModelVersion
from app.scoring.scale import SCORE_THRESHOLDS
from app.tools.evaluation.percent import percent

MIN_EXPECTED_IMPOSTORS = 30
"""A FAR is measured if at least so many impostor pairs are expected above its cosine (relative error of a third)."""
_IMAGES_PER_PERSON = 2


def is_measured(far: float, impostor_pairs: int) -> bool:
    """Return whether ``impostor_pairs`` are enough to count ``far``; otherwise it is extrapolated."""
    return far * impostor_pairs >= MIN_EXPECTED_IMPOSTORS


def people_needed(far: float, images_per_person: int = _IMAGES_PER_PERSON) -> int:
    """Return the smallest number of people, with so many images each, whose impostor pairs measure ``far``."""
    pairs_of_people = MIN_EXPECTED_IMPOSTORS / far / images_per_person**2
    return math.ceil((1 + math.sqrt(1 + 8 * pairs_of_people)) / 2)


def few_people_text(impostor_pairs: int) -> str:
    """Return which thresholds ``impostor_pairs`` do not measure, and how many people would; "" if there are none.

    A FAR that is not measured is still bounded by its interval.
    """
    thresholds = SCORE_THRESHOLDS[FaceModelVersion.V3].items()
    missing = [(score, far) for score, far in thresholds if not is_measured(far, impostor_pairs)]
    if not missing:
        return ""
    scores = _enumerate([f"{score} ({percent(far)})" for score, far in missing])
    people = _enumerate([f"{people_needed(far):,}" for _, far in missing])
    return (
        f"too few people to measure the FAR at {scores}: that takes {people} people with two images each; "
        f"these {impostor_pairs:,} impostor pairs {_measurable_text(impostor_pairs)}"
    )


def _measurable_text(impostor_pairs: int) -> str:
    lowest = MIN_EXPECTED_IMPOSTORS / max(1, impostor_pairs)
    if lowest >= 1:
        return "only bound the FAR"
    return f"measure a FAR above {percent(lowest)}, and only bound a lower one"


def _enumerate(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))
