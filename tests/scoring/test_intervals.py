"""Intervals hold the truth about as often as they say, and are wider where pairs share people."""

from __future__ import annotations

import numpy as np
import pytest

from app.scoring.intervals import Rate, binomial, clustered, clustered_listed
from app.scoring.pairs import count_pairs


def _people(seed: int, people: int = 120, spread: float = 0.6) -> tuple[np.ndarray, list[str]]:
    """Some people look more like everybody than others do: their pairs are not independent."""
    rng = np.random.default_rng(seed)
    common = np.ones(16)
    likeness = rng.uniform(0, spread, size=(people, 1))
    centres = likeness * common + rng.normal(size=(people, 16))
    rows = np.repeat(centres, 2, axis=0) + 0.3 * rng.normal(size=(2 * people, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), [str(i // 2) for i in range(2 * people)]


def test_the_rates_are_those_of_all_pairs() -> None:
    rows, people = _people(0)
    counts = count_pairs(rows, people)
    for cosine, (far, tar) in zip((0.2, 0.5), clustered(rows, people, (0.2, 0.5)), strict=True):
        assert far.value == pytest.approx(counts.far(cosine), abs=1e-5)
        assert tar.value == pytest.approx(counts.tar(cosine), abs=1e-5)
        assert 0 <= far.low < far.value < far.high <= 1


def test_intervals_of_pairs_that_share_people_are_wider_than_binomial_ones() -> None:
    rows, people = _people(0)
    pairs = count_pairs(rows, people).impostor_pairs
    ((far, _),) = clustered(rows, people, (0.5,))
    naive = binomial(far.value * pairs, pairs)
    assert far.high - far.low > 2 * (naive.high - naive.low)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    truth = np.mean([clustered(*_people(seed), (0.5,))[0].far.value for seed in range(1000, 1100)])
    held = [clustered(*_people(seed), (0.5,))[0].far.holds(float(truth)) for seed in range(100)]
    assert 0.88 <= np.mean(held) <= 1.0


def test_listed_pairs_of_known_people_have_the_intervals_of_all_pairs() -> None:
    rows, people = _people(3)
    one, other = np.triu_indices(len(rows), 1)
    same = np.array(people)[one] == np.array(people)[other]
    listed = clustered_listed(rows, people, np.stack([one, other], axis=1), same, (0.2, 0.5))
    for mine, whole in zip(listed, clustered(rows, people, (0.2, 0.5)), strict=True):
        np.testing.assert_allclose([*mine.far, *mine.tar], [*whole.far, *whole.tar], rtol=1e-6)


def test_a_pair_less_than_one_and_more_than_none() -> None:
    assert binomial(0, 0) == Rate(0.0, 0.0, 1.0)
    assert binomial(0, 1000).high == pytest.approx(3.83e-3, rel=0.01)
    assert binomial(1000, 1000).low == pytest.approx(1 - 3.83e-3, rel=0.01)
    assert list(binomial(50, 100)) == pytest.approx([0.5, 0.4038, 0.5962], abs=1e-4)


def test_one_person_alone_has_no_strangers() -> None:
    ((far, tar),) = clustered(np.eye(3, dtype=np.float32), ["a"] * 3, (0.5,))
    assert far == Rate(0.0, 0.0, 1.0)
    assert tar.value == 0.0
