import numpy as np

from app.domain import Population
from app.tools.evaluation.calibrate import calibrate
from app.tools.evaluation.group_rates import group_rates
from app.tools.evaluation.measure import Measurement, all_pairs
from app.tools.evaluation.pairs import ListedPairs, count_listed_pairs
from tests.tools.evaluation.random_faces import PACK, grouped_calibration, grouped_measurement


def test_the_far_of_each_group_is_reported_for_each_population() -> None:
    rates = group_rates(grouped_measurement(), grouped_calibration())
    assert [(row.group, row.population) for row in rates] == [
        (group, population) for group in ("alike", "varied") for population in Population
    ]
    by_row = {(row.group, row.population): row.fars for row in rates}
    assert by_row["alike", Population.GENERAL][0].value > 2e-3, "similar people exceed the stated FAR of 40"
    assert by_row["alike", Population.MATCHED][0].low <= 1e-3 <= by_row["alike", Population.MATCHED][0].high
    assert by_row["varied", Population.MATCHED][0].value < 1e-3


def test_listed_pairs_have_rates_without_known_people() -> None:
    measured = grouped_measurement()
    gallery = measured.gallery
    pairs = np.array(np.triu_indices(600, 1)).T
    people = np.array(gallery.people)
    same = people[pairs[:, 0]] == people[pairs[:, 1]]
    listed = ListedPairs(pairs, same)
    group = Measurement(count_listed_pairs(gallery.embeddings, listed), gallery, listed)
    whole = all_pairs(gallery)._replace(groups={"all": group})
    calibration = calibrate(whole, PACK, "random")
    assert calibration.table(Population.MATCHED).groups[0].people == 0
    assert len(group_rates(whole, calibration)) == len(Population)
