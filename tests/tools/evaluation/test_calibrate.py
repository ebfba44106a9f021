from collections.abc import Callable

import numpy as np
import pytest

from app.scoring.calibration import FARS, CalibrationError, PopulationTable
from app.tools.evaluation.calibrate import genuine_points, impostor_points, with_intervals
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs
from tests.tools.evaluation.random_faces import random_faces


@pytest.fixture(scope="module")
def faces() -> LabelledFaces:
    """18 million pairs."""
    return random_faces(1500)


def test_the_cosine_of_each_far_accepts_that_share_of_impostors(counts: PairCounts, table: PopulationTable) -> None:
    assert [point.far for point in table.impostor] == list(FARS)
    for point in table.impostor[:-1]:
        assert counts.far(point.cosine) <= point.far
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.1)


def test_fars_with_too_few_pairs_are_marked_as_extrapolated(counts: PairCounts, table: PopulationTable) -> None:
    assert [point.far for point in table.impostor if point.is_extrapolated] == [1e-6]
    assert counts.far(table.impostor[-1].cosine) == pytest.approx(1e-6, rel=0.6)


def test_a_sample_of_the_pairs_gives_similar_points(counts: PairCounts, table: PopulationTable) -> None:
    """With a hundredth of the pairs, FAR 1e-4 and less are extrapolated with the fitted tail."""
    sample = PairCounts(counts.genuine, np.random.default_rng(1).binomial(counts.impostor, 0.01))
    points = impostor_points(sample)
    assert [point.is_extrapolated for point in points] == [False] * 4 + [True] * 3
    for point, reference in zip(points, table.impostor, strict=True):
        assert counts.far(point.cosine) == pytest.approx(point.far, rel=0.5 if reference.far > 1e-6 else 1.0)


@pytest.mark.parametrize("people", [["a"] * 40, [str(i) for i in range(40)]])
def test_a_calibration_needs_genuine_and_impostor_pairs(people: list[str]) -> None:
    counts = count_pairs(np.eye(40, dtype=np.float32), people)
    with pytest.raises(CalibrationError, match=r"needs (300 pairs of different people .*; there are 0|two images)"):
        impostor_points(counts) if len(set(people)) == 1 else genuine_points(counts)


@pytest.mark.parametrize("points", [impostor_points, genuine_points])
def test_identical_faces_are_rejected(points: Callable[[PairCounts], object]) -> None:
    rows = np.ones((1500, 1), dtype=np.float32)
    with pytest.raises(CalibrationError, match="coincide"):
        points(count_pairs(rows, [str(i // 2) for i in range(1500)]))


def test_operating_points_get_intervals_around_their_cosines() -> None:
    few = random_faces(100)
    points = impostor_points(count_pairs(few.embeddings, few.people))
    for point in with_intervals(points, few):
        assert point.interval is not None
        assert point.interval[0] < point.cosine < point.interval[1]


def test_operating_points_of_few_people_have_no_intervals(table: PopulationTable) -> None:
    assert with_intervals(table.impostor, random_faces(4)) == table.impostor
