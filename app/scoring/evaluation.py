"""Evaluation: how a calibration does on labelled faces, as numbers for a report.

In: embeddings with their people, all pairs of them counted, and a calibration. Out: what every threshold on the score
accepts, with intervals, and the strangers who look most alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.calibration import Calibration, CalibrationError, OperatingPoint, impostor_points
from app.scoring.intervals import Rate, Rates, binomial, clustered, clustered_listed
from app.scoring.pairs import PairCounts, count_pairs
from app.scoring.scale import Scale

THRESHOLDS = (
    *((FaceModelVersion.V3, score) for score in (40, 50, 60, 70, 80, 85, 90)),
    *((FaceModelVersion.V2, score) for score in (70, 80, 90)),
)
"""The documented ones, and those that applications cut at."""
_WORST = 20
_BLOCK = 512
_FEWEST_LEFT = 150
_GROUPS, _T9 = 10, 2.262157
"""Groups of people, and Student's t of their 9 degrees of freedom, two-sided 95 %."""


class ScoreRow(NamedTuple):
    """What a threshold on the score accepts."""

    version: FaceModelVersion
    score: float
    cosine: float
    far: Rate
    tar: Rate


class Match(NamedTuple):
    """Two pictures of different people, by name."""

    a: str
    b: str
    cosine: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything a report tells."""

    calibration: Calibration
    counts: PairCounts
    scale: Scale
    rows: tuple[ScoreRow, ...]
    worst: tuple[Match, ...]


class Faces(NamedTuple):
    """Row i of ``embeddings`` (N x D, float32, unit length) is picture ``names[i]`` of ``people[i]``."""

    embeddings: NDArray[np.float32]
    people: Sequence[str]
    names: Sequence[str]


def evaluate(faces: Faces, counts: PairCounts, calibration: Calibration) -> Evaluation:
    """Return the evaluation over all pairs; intervals are clustered by person."""

    def rates(cosines: Sequence[float]) -> list[Rates]:
        return clustered(faces.embeddings, faces.people, cosines)

    return _evaluation(faces, counts, calibration, rates, _most_alike(faces.embeddings, faces.people))


class Listed(NamedTuple):
    """Pair i are the rows ``pairs[i]`` (P x 2) of some faces, of one person where ``same[i]``.

    ``has_people``: the faces' people are known; else a list has only said who is the same.
    """

    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]
    has_people: bool = False


def evaluate_listed(faces: Faces, listed: Listed, counts: PairCounts, calibration: Calibration) -> Evaluation:
    """Return the evaluation over listed pairs; where people are unknown, intervals take pairs for independent."""

    def rates(cosines: Sequence[float]) -> list[Rates]:
        if listed.has_people:
            return clustered_listed(faces.embeddings, faces.people, listed.pairs, listed.same, cosines)
        genuine, impostor = counts.above(np.array(cosines))
        return [
            Rates(binomial(far, counts.impostor_pairs), binomial(tar, counts.genuine_pairs))
            for far, tar in zip(impostor.tolist(), genuine.tolist(), strict=True)
        ]

    strangers = listed.pairs[~listed.same]
    cosines = np.einsum("ij,ij->i", faces.embeddings[strangers[:, 0]], faces.embeddings[strangers[:, 1]])
    worst = [(int(strangers[i, 0]), int(strangers[i, 1]), float(cosines[i])) for i in np.argsort(-cosines)[:_WORST]]
    return _evaluation(faces, counts, calibration, rates, worst)


def with_intervals(points: tuple[OperatingPoint, ...], faces: Faces) -> tuple[OperatingPoint, ...]:
    """Return ``points`` with the 95 % intervals of their cosines.

    Each of ten groups of people in turn is left out and the points are measured anew (delete-a-group jackknife; Kott,
    "The Delete-a-Group Jackknife", 2001), which covers the fitted tail, too. Unchanged where a part is too small.
    """
    labels = np.unique(np.asarray(faces.people), return_inverse=True)[1]
    group = np.random.default_rng(0).permutation(labels.max() + 1)[labels] % _GROUPS
    parts = []
    try:
        for left_out in range(_GROUPS):
            kept = group != left_out
            part = impostor_points(count_pairs(faces.embeddings[kept], labels[kept].astype(str).tolist()), _FEWEST_LEFT)
            parts.append([point.cosine for point in part])
    except CalibrationError:
        return points
    spread = np.sqrt((_GROUPS - 1) / _GROUPS * ((np.array(parts) - np.mean(parts, axis=0)) ** 2).sum(axis=0))
    return tuple(
        point._replace(interval=(round(point.cosine - reach, 6), round(min(1.0, point.cosine + reach), 6)))
        for point, reach in zip(points, (_T9 * spread).tolist(), strict=True)
    )


def _evaluation(
    faces: Faces,
    counts: PairCounts,
    calibration: Calibration,
    rates: Callable[[Sequence[float]], list[Rates]],
    worst: list[tuple[int, int, float]],
) -> Evaluation:
    scales = {version: Scale(calibration, version) for version in FaceModelVersion}
    cosines = [scales[version].cosine(score) for version, score in THRESHOLDS]
    rows = [
        ScoreRow(version, score, cosine, far, tar)
        for (version, score), cosine, (far, tar) in zip(THRESHOLDS, cosines, rates(cosines), strict=True)
    ]
    scale = scales[FaceModelVersion.V3]
    matches = [Match(faces.names[a], faces.names[b], cosine, scale.score(cosine)) for a, b, cosine in worst]
    return Evaluation(calibration, counts, scale, tuple(rows), tuple(matches))


def _most_alike(embeddings: NDArray[np.float32], people: Sequence[str]) -> list[tuple[int, int, float]]:
    """Return the pairs of different people with the highest cosines, highest first."""
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    best: list[tuple[float, int, int]] = []
    for start in range(0, len(embeddings), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(embeddings)))
        cosines = embeddings[rows] @ embeddings.T
        cosines[(labels[rows, None] == labels[None]) | (rows[:, None] >= np.arange(len(labels))[None])] = -2.0
        most = min(_WORST, cosines.size)
        for flat in np.argpartition(cosines, -most, axis=None)[-most:]:
            row, column = divmod(int(flat), cosines.shape[1])
            best.append((float(cosines[row, column]), start + row, column))
    best = sorted(best, reverse=True)[:_WORST]
    return [(a, b, cosine) for cosine, a, b in best if cosine >= -1.0]
