"""Evaluation of a calibration on labelled faces: FAR and TAR at score thresholds, and the hardest impostor pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple, TypeAlias

import numpy as np

from app.domain import FaceModelVersion, Population
from app.scoring import similarity
from app.scoring.calibration import Calibration, PopulationTable
from app.scoring.scale import Scale
from app.tools.evaluation.intervals import Rate, Rates, binomial, rates_over_all_pairs, rates_over_listed_pairs
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, PairCounts, pair_cosines

THRESHOLDS = (
    *((FaceModelVersion.V3, score) for score in (40, 50, 60, 70, 80, 85, 90)),
    *((FaceModelVersion.V2, score) for score in (70, 80, 90)),
)
"""The documented thresholds, and those that applications commonly use."""
_HARDEST_PAIRS = 20
_BLOCK_ROWS = 512

_Pair: TypeAlias = tuple[float, int, int]
"""(cosine, row, row)"""


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
    """Rates at all thresholds; ``scale`` is that of version 3.0, ``hardest`` the impostor pairs with top scores."""

    calibration: Calibration
    population: Population
    counts: PairCounts
    scale: Scale
    rows: tuple[ScoreRow, ...]
    hardest: tuple[ImpostorMatch, ...]

    @property
    def table(self) -> PopulationTable:
        """The table of the calibration that gives the scores."""
        return self.calibration.table(self.population)


def evaluate(
    faces: LabelledFaces,
    counts: PairCounts,
    calibration: Calibration,
    listed: ListedPairs | None = None,
    population: Population = Population.GENERAL,
) -> Evaluation:
    """Return the evaluation over all pairs of ``faces``, or over ``listed`` pairs; ``counts`` are of these pairs.

    The scores are those of ``population``. Intervals are clustered by person. For listed pairs without known people
    they assume independent pairs.
    """
    scales = {version: Scale(calibration.table(population), version) for version in FaceModelVersion}
    cosines = [scales[version].cosine(score) for version, score in THRESHOLDS]
    rates_by_threshold = rates(faces, counts, listed, cosines)
    rows = tuple(
        ScoreRow(version, score, cosine, far, tar)
        for (version, score), cosine, (far, tar) in zip(THRESHOLDS, cosines, rates_by_threshold, strict=True)
    )
    scale = scales[FaceModelVersion.V3]
    impostors = _similar_impostors(faces) if listed is None else _listed_impostors(faces, listed)
    hardest = tuple(
        ImpostorMatch(faces.names[a], faces.names[b], cosine, scale.score(cosine))
        for cosine, a, b in nlargest(_HARDEST_PAIRS, impostors)
    )
    return Evaluation(calibration, population, counts, scale, rows, hardest)


def rates(
    faces: LabelledFaces, counts: PairCounts, listed: ListedPairs | None, cosines: Sequence[float]
) -> list[Rates]:
    """Return FAR and TAR at each of ``cosines`` over all pairs of ``faces``, or over ``listed`` pairs."""
    if listed is None:
        return rates_over_all_pairs(faces, cosines)
    if listed.has_people:
        return rates_over_listed_pairs(faces, listed, cosines)
    genuine, impostor = counts.at_or_above(cosines)
    return [
        Rates(binomial(false_accepts, counts.impostor_pairs), binomial(true_accepts, counts.genuine_pairs))
        for false_accepts, true_accepts in zip(impostor.tolist(), genuine.tolist(), strict=True)
    ]


def _listed_impostors(faces: LabelledFaces, listed: ListedPairs) -> Iterator[_Pair]:
    impostors = listed.pairs[~listed.same]
    return zip(pair_cosines(faces.embeddings, impostors).tolist(), *impostors.T.tolist(), strict=True)


def _similar_impostors(faces: LabelledFaces) -> Iterator[_Pair]:
    """Yield the impostor pairs with the highest cosines of each block of rows."""
    labels = faces.labels
    for start in range(0, len(labels), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        cosines = similarity.cosine_matrix(faces.embeddings[block], faces.embeddings)
        is_impostor = np.triu(labels[block, None] != labels[None], start + 1)  # each pair once
        cosines[~is_impostor] = -np.inf
        highest = np.argpartition(cosines, -min(_HARDEST_PAIRS, cosines.size), axis=None)[-_HARDEST_PAIRS:]
        for row, column in zip(*np.unravel_index(highest, cosines.shape), strict=True):
            if is_impostor[row, column]:
                yield float(cosines[row, column]), start + int(row), int(column)
