"""FAR within groups of people, with the scores of each population of a calibration."""

from typing import NamedTuple

from app.domain import FaceModelVersion, Population
from app.scoring.calibration import Calibration
from app.scoring.scale import SCORE_THRESHOLDS, Scale
from app.tools.evaluation.evaluation import rates
from app.tools.evaluation.intervals import Rate
from app.tools.evaluation.measure import Measurement

SCORES = tuple(SCORE_THRESHOLDS[FaceModelVersion.V3])
"""The thresholds of version 3.0 for which the FAR of each group is reported."""


class GroupRates(NamedTuple):
    """The FAR within a group at each of :data:`SCORES`, with the scores of one population."""

    group: str
    population: Population
    impostor_pairs: int
    fars: tuple[Rate, ...]


def group_rates(measured: Measurement, calibration: Calibration) -> list[GroupRates]:
    """Return the FAR within each group, with the scores of each population."""
    rows = []
    for name, group in measured.groups.items():
        for population, table in calibration.populations.items():
            scale = Scale(table, FaceModelVersion.V3)
            cosines = [scale.cosine(score) for score in SCORES]
            fars = tuple(far for far, _ in rates(group.faces, group.counts, group.listed, cosines))
            rows.append(GroupRates(name, population, group.counts.impostor_pairs, fars))
    return rows
