"""Evaluation of a calibration on labelled faces: FAR and TAR at score thresholds, and the hardest impostor pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.calibration import Calibration, CalibrationError, OperatingPoint, impostor_points
from app.scoring.intervals import Rate, Rates, binomial, rates_over_all_pairs, rates_over_listed_pairs
from app.scoring.pairs import PairCounts, count_pairs
from app.scoring.scale import Scale

THRESHOLDS = (
    *((FaceModelVersion.V3, score) for score in (40, 50, 60, 70, 80, 85, 90)),
    *((FaceModelVersion.V2, score) for score in (70, 80, 90)),
)
"""The documented thresholds, and those that applications commonly use."""
_HARDEST_PAIRS = 20
_BLOCK_ROWS = 512
_MIN_FOLD_PAIRS = 150
_FOLDS, _T9 = 10, 2.262157
"""Groups of people in the jackknife, and Student's t of their 9 degrees of freedom, two-sided 95 %."""

_Pair: TypeAlias = tuple[int, int, float]
"""(row, row, cosine)"""


class ScoreRow(NamedTuple):
    """FAR and TAR of a threshold on the score."""

    version: FaceModelVersion
    score: float
    cosine: float
    far: Rate
    tar: Rate


class ImpostorMatch(NamedTuple):
    """The names of two images of different people, and their similarity."""

    a: str
    b: str
    cosine: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The content of a report; ``scale`` is that of version 3.0, ``hardest`` the impostor pairs with top scores."""

    calibration: Calibration
    counts: PairCounts
    scale: Scale
    rows: tuple[ScoreRow, ...]
    hardest: tuple[ImpostorMatch, ...]


class LabelledFaces(NamedTuple):
    """Row i of ``embeddings`` (N x D, float32, unit length) is image ``names[i]`` of person ``people[i]``."""

    embeddings: NDArray[np.float32]
    people: Sequence[str]
    names: Sequence[str]


class ListedPairs(NamedTuple):
    """Pair i compares the rows ``pairs[i]`` (P x 2) of labelled faces; it is genuine if ``same[i]``.

    ``has_people``: the person of each face is known, not only the label of each pair.
    """

    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]
    has_people: bool = False


def evaluate(
    faces: LabelledFaces, counts: PairCounts, calibration: Calibration, listed: ListedPairs | None = None
) -> Evaluation:
    """Return the evaluation over all pairs of ``faces``, or over ``listed`` pairs; ``counts`` are of these pairs.

    Intervals are clustered by person. For listed pairs without known people they assume independent pairs.
    """
    scales = {version: Scale(calibration, version) for version in FaceModelVersion}
    cosines = [scales[version].cosine(score) for version, score in THRESHOLDS]
    rates = _rates(faces, counts, listed, cosines)
    rows = tuple(
        ScoreRow(version, score, cosine, far, tar)
        for (version, score), cosine, (far, tar) in zip(THRESHOLDS, cosines, rates, strict=True)
    )
    scale = scales[FaceModelVersion.V3]
    pairs = _hardest_impostors(faces) if listed is None else _hardest_listed_impostors(faces, listed)
    hardest = (ImpostorMatch(faces.names[a], faces.names[b], cosine, scale.score(cosine)) for a, b, cosine in pairs)
    return Evaluation(calibration, counts, scale, rows, tuple(hardest))


def with_intervals(points: tuple[OperatingPoint, ...], faces: LabelledFaces) -> tuple[OperatingPoint, ...]:
    """Return ``points`` with the 95 % intervals of their cosines; unchanged if the data is too small.

    Delete-a-group jackknife (Kott, "The Delete-a-Group Jackknife", 2001): the points are measured ten times, each
    time without another tenth of the people. This covers the error of the fitted tail, too.
    """
    labels = np.unique(np.asarray(faces.people), return_inverse=True)[1]
    fold_of_row = np.random.default_rng(0).permutation(labels.max() + 1)[labels] % _FOLDS
    replicates = []
    try:
        for fold in range(_FOLDS):
            kept = fold_of_row != fold
            counts = count_pairs(faces.embeddings[kept], labels[kept].astype(str).tolist())
            replicates.append([point.cosine for point in impostor_points(counts, _MIN_FOLD_PAIRS)])
    except CalibrationError:
        return points
    deviations = np.array(replicates) - np.mean(replicates, axis=0)
    standard_errors = np.sqrt((_FOLDS - 1) / _FOLDS * (deviations**2).sum(axis=0))
    return tuple(
        point._replace(interval=(round(point.cosine - margin, 6), round(min(1.0, point.cosine + margin), 6)))
        for point, margin in zip(points, (_T9 * standard_errors).tolist(), strict=True)
    )


def _rates(
    faces: LabelledFaces, counts: PairCounts, listed: ListedPairs | None, cosines: Sequence[float]
) -> list[Rates]:
    if listed is None:
        return rates_over_all_pairs(faces.embeddings, faces.people, cosines)
    if listed.has_people:
        return rates_over_listed_pairs(faces.embeddings, faces.people, listed.pairs, listed.same, cosines)
    genuine, impostor = counts.at_or_above(np.array(cosines))
    return [
        Rates(binomial(false_accepts, counts.impostor_pairs), binomial(true_accepts, counts.genuine_pairs))
        for false_accepts, true_accepts in zip(impostor.tolist(), genuine.tolist(), strict=True)
    ]


def _hardest_listed_impostors(faces: LabelledFaces, listed: ListedPairs) -> list[_Pair]:
    impostors = listed.pairs[~listed.same]
    cosines = np.einsum("ij,ij->i", faces.embeddings[impostors[:, 0]], faces.embeddings[impostors[:, 1]])
    order = np.argsort(-cosines)[:_HARDEST_PAIRS]
    return [(int(impostors[i, 0]), int(impostors[i, 1]), float(cosines[i])) for i in order]


def _hardest_impostors(faces: LabelledFaces) -> list[_Pair]:
    """Return the impostor pairs with the highest cosines, highest first."""
    labels = np.unique(np.asarray(faces.people), return_inverse=True)[1]
    hardest: list[tuple[float, int, int]] = []
    for start in range(0, len(labels), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(labels)))
        cosines = faces.embeddings[rows] @ faces.embeddings.T
        cosines[(labels[rows, None] == labels[None]) | (rows[:, None] >= np.arange(len(labels))[None])] = -2.0
        count = min(_HARDEST_PAIRS, cosines.size)
        for index in np.argpartition(cosines, -count, axis=None)[-count:]:
            row, column = divmod(int(index), cosines.shape[1])
            hardest.append((float(cosines[row, column]), start + row, column))
    hardest = sorted(hardest, reverse=True)[:_HARDEST_PAIRS]
    return [(a, b, cosine) for cosine, a, b in hardest if cosine >= -1.0]
