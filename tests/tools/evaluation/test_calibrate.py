from collections.abc import Callable

import numpy as np
import pytest

from app.domain import Population
from app.scoring.calibration import FARS, CalibrationError, PopulationTable
from app.tools.evaluation.calibrate import calibrate, genuine_points, impostor_points, matched_table, with_intervals
from app.tools.evaluation.measure import Measurement
from app.tools.evaluation.pairs import LabelledFaces, PairCounts, count_pairs
from tests.support.embeddings import without_degradation
from tests.tools.evaluation.random_faces import PACK, grouped_calibration, grouped_measurement, random_faces


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
    counts = count_pairs(without_degradation(np.eye(40)), people)
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


def test_the_strictest_group_decides_at_each_far() -> None:
    measured = grouped_measurement()
    populations = grouped_calibration().populations
    general, matched = populations[Population.GENERAL], populations[Population.MATCHED]
    by_group = {name: impostor_points(group.counts) for name, group in measured.groups.items()}
    for i, point in enumerate(matched.impostor):
        assert point.cosine == max(points[i].cosine for points in by_group.values())
        assert point.cosine == by_group[point.group][i].cosine
        assert point.cosine > general.impostor[i].cosine
        assert point.interval is not None
    assert {point.group for point in matched.impostor} == {"alike"}
    assert matched.genuine == general.genuine
    assert [(group.name, group.people) for group in matched.groups] == [("alike", 150), ("varied", 150)]
    assert matched.impostor_pairs == sum(group.impostor_pairs for group in matched.groups)
    assert (matched.people, matched.data) == (300, "random, pairs within a group (alike, varied)")


def test_matched_of_one_group_is_that_group() -> None:
    measured = grouped_measurement()
    one = measured._replace(groups={"alike": measured.groups["alike"]})
    matched = calibrate(one, PACK, "random").table(Population.MATCHED)
    assert [point.cosine for point in matched.impostor] == [
        point.cosine for point in impostor_points(one.groups["alike"].counts)
    ]


@pytest.mark.parametrize(
    ("people", "message"),
    [(0, "10 people; there are 0"), (9, "10 people; there are 9"), (12, "300 pairs of different people")],
)
def test_a_group_with_too_few_people_or_pairs_is_rejected(people: int, message: str) -> None:
    measured = grouped_measurement()
    first_images = np.isin(np.arange(1200), 4 * np.arange(people))
    few = measured.gallery.select(first_images)
    small = Measurement(count_pairs(few.embeddings, few.people), few)
    with pytest.raises(CalibrationError, match=f"^group few: .*needs {message}") as caught:
        matched_table((), measured._replace(groups={"few": small}), "random")
    assert "\n" not in str(caught.value)
