"""One face of a picture -> all that is measured of it, and that as a table, as text and as JSON.

The bands name and colour a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.domain import Face, Image, Pose, Quality, QualityPolicy
from app.vision.pose import pose
from app.vision.quality.assess import QualityAssessment, QualityAssessor
from app.vision.quality.bands import BRIGHTNESS, COMPLETENESS, SCORE, SHARPNESS, Band, band
from app.vision.quality.grade import accepts, grade, problems

_LEVELS = range(5)


class Measure(NamedTuple):
    """A row of the quality table: a number of 0 to 100 among its bands."""

    name: str
    value: int
    bands: tuple[Band, ...]

    @property
    def band(self) -> Band:
        return band(self.value, self.bands)


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What is found of ``face``; ``levels``: the highest QualityControl that lets it through, under each policy."""

    face: Face
    is_compared: bool
    pose: Pose
    assessment: QualityAssessment
    grade: int
    problems: tuple[str, ...]
    levels: Mapping[QualityPolicy, int]

    @property
    def eye_distance(self) -> float:
        """Pixels of the photo."""
        left, right = self.face.landmarks[:2]
        return float(np.hypot(*(right - left)))


def find(assessor: QualityAssessor, image: Image, face: Face, *, is_compared: bool, pitch_offset: float) -> Finding:
    """Measure ``face``, which was found in ``image``; ``pitch_offset`` as in ``pose``."""
    assessment = assessor.assess(image, face.landmarks)
    quality = assessment.quality
    return Finding(
        face,
        is_compared,
        pose(face.landmarks, pitch_offset),
        assessment,
        grade(quality),
        tuple(problem.text for problem in problems(quality)),
        {policy: max(level for level in _LEVELS if accepts(quality, level, policy)) for policy in QualityPolicy},
    )


def measures(quality: Quality) -> list[Measure]:
    """Return the rows of the quality table."""
    return [
        Measure("Score", quality.score, SCORE),
        Measure("Sharpness", quality.sharpness, SHARPNESS),
        Measure("Brightness", quality.brightness, BRIGHTNESS),
        *(
            Measure(name.capitalize(), getattr(quality.completeness, name), bands)
            for name, bands in COMPLETENESS.items()
        ),
    ]


def headline(number: int, finding: Finding) -> str:
    """Return what face this is, where it looks and how large it is."""
    seen = finding.pose
    return (
        f"Face {number}{', compared' if finding.is_compared else ''}: confidence {finding.face.confidence:.2f}, "
        f"eyes {finding.eye_distance:.0f} px apart, pitch {seen.pitch:+.0f}, yaw {seen.yaw:+.0f}, roll {seen.roll:+.0f}"
    )


def conclusion(finding: Finding, policy: QualityPolicy) -> str:
    """Return the grade and which levels of QualityControl it passes; ``policy`` is the one in force."""
    other = next(one for one in QualityPolicy if one is not policy)
    return (
        f"Grade {finding.grade}. QualityControl lets it through up to {finding.levels[policy]} "
        f"(with {other.value}: {finding.levels[other]})"
    )


def as_text(findings: Sequence[Finding], policy: QualityPolicy) -> str:
    """Return all of it as lines."""
    lines = []
    for number, finding in enumerate(findings, start=1):
        rows = measures(finding.assessment.quality)
        lines += [
            headline(number, finding),
            *(f"  {row.name:<12}{row.value:>4}  {row.band.word}" for row in rows),
            f"  Problems: {', '.join(finding.problems) or 'none'}",
            f"  {conclusion(finding, policy)}",
        ]
    return "\n".join(lines)


def as_json(finding: Finding, policy: QualityPolicy) -> dict[str, object]:
    """Return the numbers under the names of the wire, as far as it has them."""
    rows = {row.name: row.value for row in measures(finding.assessment.quality)}
    left, top, width, height = finding.face.box.pixels
    return {
        "Compared": finding.is_compared,
        "X": left,
        "Y": top,
        "Width": width,
        "Height": height,
        "Confidence": round(finding.face.confidence, 4),
        "EyeDistance": round(finding.eye_distance, 1),
        "Pitch": round(finding.pose.pitch),
        "Yaw": round(finding.pose.yaw),
        "Roll": round(finding.pose.roll),
        "FaceQualityInfo": {
            **{name: rows[name] for name in ("Score", "Sharpness", "Brightness")},
            "Completeness": {name.capitalize(): rows[name.capitalize()] for name in COMPLETENESS},
        },
        "Grade": finding.grade,
        "Problems": list(finding.problems),
        "QualityControl": finding.levels[policy],
    }
