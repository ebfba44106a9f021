"""Intervals have their nominal coverage, and are wider than binomial ones because pairs share people."""

import numpy as np
import pytest

from app.tools.evaluation.intervals import Rate, binomial, rates_over_all_pairs, rates_over_listed_pairs
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, count_pairs
from tests.support.embeddings import without_degradation


def _random_faces(seed: int, people: int = 120, spread: float = 0.6) -> LabelledFaces:
    """Some people resemble all others more, so their pairs are not independent."""
    rng = np.random.default_rng(seed)
    common = np.ones(16)
    resemblance = rng.uniform(0, spread, size=(people, 1))
    centres = resemblance * common + rng.normal(size=(people, 16))
    rows = np.repeat(centres, 2, axis=0) + 0.3 * rng.normal(size=(2 * people, 16))
    names = [str(i // 2) for i in range(2 * people)]
    return LabelledFaces(without_degradation(rows), names, names)


def test_rates_equal_the_counts_of_all_pairs() -> None:
    faces = _random_faces(0)
    counts = count_pairs(faces.embeddings, faces.people)
    for cosine, (far, tar) in zip((0.2, 0.5), rates_over_all_pairs(faces, (0.2, 0.5)), strict=True):
        assert far.value == pytest.approx(counts.far(cosine), abs=1e-5)
        assert tar.value == pytest.approx(counts.tar(cosine), abs=1e-5)
        assert 0 <= far.low < far.value < far.high <= 1


def test_intervals_of_pairs_that_share_people_are_wider_than_binomial_ones() -> None:
    faces = _random_faces(0)
    pairs = count_pairs(faces.embeddings, faces.people).impostor_pairs
    ((far, _),) = rates_over_all_pairs(faces, (0.5,))
    naive = binomial(far.value * pairs, pairs)
    assert far.high - far.low > 2 * (naive.high - naive.low)


def test_intervals_have_95_percent_coverage() -> None:
    truth = np.mean([rates_over_all_pairs(_random_faces(seed), (0.5,))[0].far.value for seed in range(1000, 1100)])
    fars = [rates_over_all_pairs(_random_faces(seed), (0.5,))[0].far for seed in range(100)]
    assert np.mean([far.low <= truth <= far.high for far in fars]) >= 0.88


def test_listing_all_pairs_gives_the_intervals_of_all_pairs() -> None:
    faces = _random_faces(3)
    first, second = np.triu_indices(len(faces.people), 1)
    pairs = ListedPairs(np.stack([first, second], axis=1), faces.labels[first] == faces.labels[second])
    listed = rates_over_listed_pairs(faces, pairs, (0.2, 0.5))
    for rates, expected in zip(listed, rates_over_all_pairs(faces, (0.2, 0.5)), strict=True):
        np.testing.assert_allclose([*rates.far, *rates.tar], [*expected.far, *expected.tar], rtol=1e-6)


def test_binomial_intervals_equal_published_values() -> None:
    assert binomial(0, 0) == Rate(0.0, 0.0, 1.0)
    assert binomial(0, 1000).high == pytest.approx(3.83e-3, rel=0.01)
    assert binomial(1000, 1000).low == pytest.approx(1 - 3.83e-3, rel=0.01)
    assert list(binomial(50, 100)) == pytest.approx([0.5, 0.4038, 0.5962], abs=1e-4)


def test_one_person_has_no_impostor_pairs() -> None:
    ((far, tar),) = rates_over_all_pairs(
        LabelledFaces(without_degradation(np.eye(3)), ["a"] * 3, ["1", "2", "3"]), (0.5,)
    )
    assert far == Rate(0.0, 0.0, 1.0)
    assert tar.value == 0.0


@pytest.mark.parametrize(
    ("accepted", "pairs", "text"),
    [
        (0, 37_018, "< 0.0104 % (0 of 37,018)"),
        (40, 40, "> 91.2 % (40 of 40)"),
        (50, 100, "50 % [40.4, 59.6]"),
        (0, 0, "unknown (no pairs)"),
    ],
)
def test_a_rate_is_printed_in_percent_and_as_a_bound_if_no_or_all_pairs_are_accepted(
    accepted: int, pairs: int, text: str
) -> None:
    assert binomial(accepted, pairs).text(pairs) == text
