"""Assess the image quality of a face: measures, total score, problems, grade, and acceptance by ``QualityControl``.

The bands and their names are the vendor's (``FaceQualityInfo`` and ``FaceQualityCompleteness``, CompareFace page).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import Artifact, Completeness, Image, Landmarks, Quality, QualityPolicy, Tones
from app.runtime.session import Session
from app.vision.quality.artifacts import measure_artifact
from app.vision.quality.brightness import measure_brightness
from app.vision.quality.crop import QualityCrop, inside_cells, quality_crop
from app.vision.quality.sharpness import measure_sharpness
from app.vision.quality.tones import measure_tones
from app.vision.quality.visibility import (
    REGION_CELLS,
    VISIBLE,
    VisibilityMap,
    measure_completeness,
    predict_visibility,
    visible_face,
)


class Severity(IntEnum):
    """The severity of the values in a band."""

    NONE = 0
    MILD = 1
    SEVERE = 2


class Problem(NamedTuple):
    """A quality problem, named by the vendor's ``text`` if the vendor has one. A severe problem is never borderline."""

    text: str
    is_severe: bool
    is_borderline: bool


class Band(NamedTuple):
    """The values of a measure above the previous band, up to and including ``upper``; ``label`` is for people.

    ``problem``: the vendor's name of the problem. ``boundary``: the nearest value of the good band, however many bands
    lie between. For regions it is ``upper``: the vendor counts 80 itself as covered, for example, so the good band
    starts directly above it. A mild problem within ``_NEAR_GOOD_POINTS`` of the boundary is borderline.
    """

    upper: int
    label: str
    severity: Severity = Severity.NONE
    problem: str = ""
    boundary: int = 0


def _region_bands(upper: int, severity: Severity, problem: str) -> tuple[Band, ...]:
    return Band(upper, "covered", severity, problem, boundary=upper), Band(100, "visible")


SHARPNESS_BANDS = (
    Band(39, "very blurry", Severity.SEVERE, "extreme blurriness", boundary=80),
    Band(59, "blurry", Severity.MILD, "blurriness", boundary=80),
    Band(79, "average", Severity.MILD, "average blurriness", boundary=80),
    Band(100, "sharp"),
)
BRIGHTNESS_BANDS = (
    Band(29, "dark", Severity.MILD, "excessive dimness", boundary=30),
    Band(70, "normal"),
    Band(100, "bright", Severity.MILD, "excessive brightness", boundary=70),
)
COMPLETENESS_BANDS: Mapping[str, tuple[Band, ...]] = {
    "eyebrow": _region_bands(80, Severity.MILD, "covered eyebrows"),
    "eye": _region_bands(80, Severity.SEVERE, "covered eyes"),
    "nose": _region_bands(60, Severity.SEVERE, "covered nose"),
    "cheek": _region_bands(70, Severity.MILD, "covered cheeks"),
    "mouth": _region_bands(50, Severity.SEVERE, "covered mouth"),
    "chin": _region_bands(70, Severity.MILD, "covered chin"),
}
SCORE_BANDS = (
    Band(39, "poor", Severity.SEVERE),
    Band(59, "fair", Severity.MILD),
    Band(79, "good"),
    Band(100, "excellent"),
)
"""No problems of their own: the score only combines the other measures."""

_MIN_BRIGHTNESS, _MAX_BRIGHTNESS = (band.boundary for band in BRIGHTNESS_BANDS if band.severity)
"""Range of normal brightness, in which the score loses nothing."""
_BRIGHTNESS_LOSS = 0.9  # share of the score that is lost at a brightness of 0 or 100
_COVERED_LOSS = {"eyebrow": 0.15, "eye": 0.5, "nose": 0.4, "cheek": 0.15, "mouth": 0.4, "chin": 0.15}
"""Share of the score that is lost if a region is covered; a sharp face with a mask keeps about 25 points.

Both losses are fitted to the example of the vendor's DetectFace page: sharpness 73, brightness 47, cheek 52, chin 47
and 99 for the other regions give a score of 63.
"""

_ARTIFACT_LOSS = 0.5  # share of the score that is lost by an artifact

_UNNATURAL_TONES = Problem("unnatural tones", is_severe=True, is_borderline=False)
_ARTIFACT_PROBLEMS = {
    Artifact.OVERLAY: Problem("text or lines over the face", is_severe=True, is_borderline=False),
    Artifact.COMPRESSION: Problem("strong compression", is_severe=True, is_borderline=False),
}
"""Problems that the vendor does not name."""

_NEAR_GOOD_POINTS = 10  # distance from the boundary up to which a mild problem is borderline
_MIN_USABLE_SCORE = 20  # images below this score get grade 0
_MAX_MILD_PROBLEMS = 2  # mild problems that grade 3 allows

_MASK_REGIONS = {"nose": 0.5, "mouth": 0.5, "chin": 0.0}
"""Regions that a mask covers, and the share of each that must be inside the image to report a mask."""


def find_band(value: int, bands: tuple[Band, ...]) -> Band:
    """Return the band that contains ``value``, 0-100."""
    return next(band for band in bands if value <= band.upper)


def quality_score(
    sharpness: int,
    brightness: int,
    completeness: Completeness,
    tones: Tones = Tones.NATURAL,
    artifact: Artifact = Artifact.NONE,
) -> int:
    """Return the total score, 0-100, the vendor's ``Score``; it is at most ``sharpness``.

    A better measure never lowers it. Unnatural tones have the score 0.
    """
    if tones is Tones.UNNATURAL:
        return 0
    total = float(sharpness)
    # The largest distance is 30 on both sides, which is also _MIN_BRIGHTNESS.
    distance = max(_MIN_BRIGHTNESS - brightness, brightness - _MAX_BRIGHTNESS, 0)
    total *= 1 - _BRIGHTNESS_LOSS * distance / _MIN_BRIGHTNESS
    for region, percent in asdict(completeness).items():
        total *= 1 - _COVERED_LOSS[region] * (1 - percent / 100)
    return round(total if artifact is Artifact.NONE else total * (1 - _ARTIFACT_LOSS))


def problems(quality: Quality) -> list[Problem]:
    """Return the problems, severe ones first; each measure has at most one."""
    measures = [(quality.sharpness, SHARPNESS_BANDS), (quality.brightness, BRIGHTNESS_BANDS)]
    measures += [(getattr(quality.completeness, region), bands) for region, bands in COMPLETENESS_BANDS.items()]
    all_problems = []
    for value, bands in measures:
        band = find_band(value, bands)
        is_borderline = band.severity is Severity.MILD and abs(value - band.boundary) <= _NEAR_GOOD_POINTS
        if band.severity:
            all_problems.append(Problem(band.problem, band.severity is Severity.SEVERE, is_borderline))
    if quality.tones is Tones.UNNATURAL:
        all_problems.append(_UNNATURAL_TONES)
    if quality.artifact in _ARTIFACT_PROBLEMS:
        all_problems.append(_ARTIFACT_PROBLEMS[quality.artifact])
    return sorted(all_problems, key=lambda problem: not problem.is_severe)


def grade(quality: Quality) -> int:
    """Return the grade, 4 (best) to 0 (unusable), by the vendor's description of the levels of ``QualityControl``."""
    if quality.score < _MIN_USABLE_SCORE:
        return 0
    all_problems = problems(quality)
    if any(problem.is_severe for problem in all_problems):
        return 1
    if not all_problems or (len(all_problems) == 1 and all_problems[0].is_borderline):
        return 4
    return 3 if len(all_problems) <= _MAX_MILD_PROBLEMS else 2


def accepts(quality: Quality, level: int, policy: QualityPolicy) -> bool:
    """Return whether ``QualityControl`` = ``level`` (0-4) accepts the face; level 0 accepts every face.

    The vendor describes a face quality for each level, but not whether the level accepts it. ``ACCEPT_DESCRIBED``
    accepts grades from ``level``; ``REJECT_DESCRIBED`` accepts only grades above it (level 4: grade 4).
    """
    min_grade = level if policy is QualityPolicy.ACCEPT_DESCRIBED else min(level + 1, 4)
    return level == 0 or grade(quality) >= min_grade


def is_masked(visibility: VisibilityMap, inside: NDArray[np.bool_]) -> bool:
    """Return whether anything covers nose, mouth and chin, the vendor's ``Mask``.

    Only cells inside the image count, unlike in ``measure_completeness``: a face that is cut off at the nose has no
    mask. ``inside``: as in ``QualityCrop``.
    """
    is_inside = inside_cells(inside)
    for region, min_share in _MASK_REGIONS.items():
        cells = REGION_CELLS[region]
        total_inside = float(cells[is_inside].sum())
        if total_inside < min_share * float(cells.sum()):
            return False
        visible = float(cells[is_inside & (visibility > VISIBLE)].sum())
        if total_inside and not find_band(round(100 * visible / total_inside), COMPLETENESS_BANDS[region]).severity:
            return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class QualityAssessment:
    """The quality of a face, and the crop and visibility map that it was measured on."""

    quality: Quality
    crop: QualityCrop
    visibility: VisibilityMap


class QualityAssessor:
    """Measures the quality of faces."""

    def __init__(self, visibility_network: Session) -> None:
        self._visibility_network = visibility_network

    def assess(self, image: Image, landmarks: Landmarks) -> QualityAssessment:
        """Return the quality of the face of ``image`` with ``landmarks``."""
        return self.assess_crop(quality_crop(image, landmarks))

    def assess_crop(self, crop: QualityCrop) -> QualityAssessment:
        """Return the quality of the face in ``crop``."""
        visibility = predict_visibility(self._visibility_network, crop)
        completeness = measure_completeness(visibility, crop.yaw)
        visible = visible_face(crop, visibility)
        pixels = crop.image[visible]
        brightness, tones = measure_brightness(pixels), measure_tones(crop, visibility, pixels)
        measures = measure_sharpness(crop), brightness, completeness, tones, measure_artifact(crop.image, visible)
        return QualityAssessment(Quality(quality_score(*measures), *measures), crop, visibility)
