"""Pose, quality and QualityControl level of one face, as a quality table, as text and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from app.domain import Face, Image, Pose, Quality, QualityPolicy
from app.vision.pose import pose
from app.vision.quality.assessment import (
    BRIGHTNESS_BANDS,
    COMPLETENESS_BANDS,
    SCORE_BANDS,
    SHARPNESS_BANDS,
    Band,
    QualityAssessment,
    QualityAssessor,
    accepts,
    find_band,
    grade,
    problems,
)

_LEVELS = range(5)
_BANDS: Mapping[str, tuple[Band, ...]] = {
    "score": SCORE_BANDS,
    "sharpness": SHARPNESS_BANDS,
    "brightness": BRIGHTNESS_BANDS,
    **COMPLETENESS_BANDS,
}
"""Rows of the quality table."""


class QualityRow(NamedTuple):
    """A row of the quality table: a value of 0 to 100 and the bands of its scale."""

    name: str
    value: int
    bands: tuple[Band, ...]

    @property
    def band(self) -> Band:
        return find_band(self.value, self.bands)


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """An inspected face; ``levels``: the highest level of QualityControl that accepts it, under each policy.

    ``degradation``: that of the embedding of the compared face, else None.
    """

    face: Face
    is_compared: bool
    pose: Pose
    assessment: QualityAssessment
    grade: int
    problems: tuple[str, ...]
    levels: Mapping[QualityPolicy, int]
    degradation: float | None = None

    @property
    def eye_distance(self) -> float:
        """In pixels of the image."""
        left, right = self.face.landmarks[:2]
        return float(np.hypot(*(right - left)))


def inspect_face(
    assessor: QualityAssessor, image: Image, face: Face, *, is_compared: bool, pitch_offset: float
) -> Finding:
    """Measure ``face`` of ``image``; ``pitch_offset`` as in ``pose``."""
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


def quality_rows(quality: Quality) -> list[QualityRow]:
    """Return the rows of the quality table; the regions are the last ones."""
    values = asdict(quality) | asdict(quality.completeness)
    return [QualityRow(name.capitalize(), values[name], bands) for name, bands in _BANDS.items()]


def headline(number: int, finding: Finding) -> str:
    """Return the confidence, size and pose of the face."""
    pose = finding.pose
    return (
        f"Face {number}{', compared' if finding.is_compared else ''}: confidence {finding.face.confidence:.2f}, "
        f"eyes {finding.eye_distance:.0f} px apart, pitch {pose.pitch:+.0f}, yaw {pose.yaw:+.0f}, roll {pose.roll:+.0f}"
    )


def conclusion(finding: Finding, policy: QualityPolicy) -> str:
    """Return the grade and the levels of QualityControl that accept the face; ``policy`` is the configured one."""
    (other,) = (candidate for candidate in QualityPolicy if candidate is not policy)
    return (
        f"Grade {finding.grade}. Passes QualityControl 0 to {finding.levels[policy]} "
        f"(with COMPAREFACE_QUALITY__POLICY={other.value}: 0 to {finding.levels[other]})"
    )


def problems_line(finding: Finding) -> str:
    return f"Problems: {', '.join(finding.problems) or 'none'}"


def as_text(findings: Sequence[Finding], policy: QualityPolicy) -> str:
    """Return all findings as text of several lines."""
    lines = []
    for number, finding in enumerate(findings, start=1):
        rows = quality_rows(finding.assessment.quality)
        lines.append(headline(number, finding))
        lines += [f"  {row.name:<12}{row.value:>4}  {row.band.label}" for row in rows]
        lines += [f"  {problems_line(finding)}", f"  {conclusion(finding, policy)}"]
        if finding.degradation is not None:
            lines.append(
                f"  Degradation {finding.degradation:.2f} (0: none; a score is reduced if both images have it)"
            )
    return "\n".join(lines)


def as_json(finding: Finding, policy: QualityPolicy) -> dict[str, object]:
    """Return a finding as JSON, with the names of the API for values that the API has."""
    values = {row.name: row.value for row in quality_rows(finding.assessment.quality)}
    completeness = {name: values.pop(name) for name in map(str.capitalize, COMPLETENESS_BANDS)}
    return {
        "Compared": finding.is_compared,
        **dict(zip(("X", "Y", "Width", "Height"), finding.face.box.to_xywh(), strict=True)),
        "Confidence": round(finding.face.confidence, 4),
        "EyeDistance": round(finding.eye_distance, 1),
        **{name.capitalize(): round(degrees) for name, degrees in asdict(finding.pose).items()},
        "FaceQualityInfo": {**values, "Completeness": completeness},
        "Grade": finding.grade,
        "Problems": list(finding.problems),
        "QualityControl": finding.levels[policy],
        "Degradation": finding.degradation,
    }
