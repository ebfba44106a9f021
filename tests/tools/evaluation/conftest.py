"""The pairs and the calibration of the fixture ``faces``, which each test module defines."""

import pytest

from app.domain import Population
from app.scoring.calibration import Calibration, PopulationTable
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs
from tests.tools.evaluation.random_faces import calibration_of


@pytest.fixture(scope="module")
def counts(faces: LabelledFaces) -> PairCounts:
    return count_pairs(faces.embeddings, faces.people)


@pytest.fixture(scope="module")
def calibration(faces: LabelledFaces, counts: PairCounts) -> Calibration:
    return calibration_of(counts, faces)


@pytest.fixture(scope="module")
def table(calibration: Calibration) -> PopulationTable:
    return calibration.table(Population.GENERAL)
