from __future__ import annotations

import numpy as np
import pytest

from app.scoring.pairs import PairCounts, count_listed, count_pairs


def _embeddings(count: int, dimension: int = 16) -> np.ndarray:
    rows = np.random.default_rng(7).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def many() -> tuple[np.ndarray, list[str]]:
    return _embeddings(1200), [f"person {i // 3}" for i in range(1200)]


def test_every_unordered_pair_is_counted_once(many: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*many)
    assert counts.genuine_pairs == 400 * 3
    assert counts.genuine_pairs + counts.impostor_pairs == 1200 * 1199 // 2


def test_the_rates_agree_with_comparing_every_pair(many: tuple[np.ndarray, list[str]]) -> None:
    embeddings, people = many
    counts = count_pairs(embeddings, people)
    upper = np.triu_indices(1200, 1)
    cosines = (embeddings @ embeddings.T)[upper]
    same = np.array(people)[upper[0]] == np.array(people)[upper[1]]
    for threshold in (-0.5, 0.0, 0.3, 0.7):
        assert counts.far(threshold) == pytest.approx((cosines[~same] >= threshold).mean(), abs=2e-6)
        assert counts.tar(threshold) == pytest.approx((cosines[same] >= threshold).mean(), abs=1e-3)


@pytest.mark.parametrize("far", [0.5, 0.1, 1e-3, 1e-5])
def test_the_cosine_at_a_far_keeps_it_and_is_the_smallest_that_does(
    many: tuple[np.ndarray, list[str]], far: float
) -> None:
    counts = count_pairs(*many)
    cosine = counts.cosine_at_far(far)
    assert counts.far(cosine) <= far < counts.far(cosine - 1e-6)


def test_no_impostor_is_accepted_at_far_zero(many: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*many)
    assert counts.far(counts.cosine_at_far(0.0)) == 0.0


@pytest.mark.parametrize("tar", [1.0, 0.9, 0.05])
def test_the_cosine_at_a_tar_accepts_that_share(many: tuple[np.ndarray, list[str]], tar: float) -> None:
    counts = count_pairs(*many)
    cosine = counts.cosine_at_tar(tar)
    assert counts.tar(cosine) == pytest.approx(tar, abs=1e-3)


def test_above_agrees_with_the_rates(many: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*many)
    cosines = np.array([-1.0, 0.0, 0.31, 1.0])
    genuine, impostor = counts.above(cosines)
    assert list(genuine / counts.genuine_pairs) == [counts.tar(cosine) for cosine in cosines]
    assert list(impostor / counts.impostor_pairs) == [counts.far(cosine) for cosine in cosines]


@pytest.mark.parametrize("most", [10**9, 100_000])
def test_of_many_pairs_all_genuine_ones_and_a_seeded_sample_is_counted(
    many: tuple[np.ndarray, list[str]], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    everything = count_pairs(*many)
    monkeypatch.setattr("app.scoring.pairs._TILE", 64)
    counts, again, other = (count_pairs(*many, most=most, seed=seed) for seed in (1, 1, 2))
    assert counts.genuine_pairs == everything.genuine_pairs
    assert np.array_equal(counts.impostor, again.impostor)
    if most > everything.impostor_pairs:
        assert counts.impostor_pairs == everything.impostor_pairs
    else:
        assert counts.impostor_pairs == pytest.approx(most, rel=0.3)
        assert not np.array_equal(counts.impostor, other.impostor)
        for cosine in (0.0, 0.3, 0.5):
            assert counts.far(cosine) == pytest.approx(everything.far(cosine), rel=0.1)


def test_listed_pairs_are_counted_alone(many: tuple[np.ndarray, list[str]]) -> None:
    embeddings, people = many
    pairs = np.array(np.triu_indices(1200, 1)).T
    same = np.array(people)[pairs[:, 0]] == np.array(people)[pairs[:, 1]]
    listed, counts = count_listed(embeddings, pairs, same), count_pairs(embeddings, people)
    assert (listed.genuine_pairs, listed.impostor_pairs) == (counts.genuine_pairs, counts.impostor_pairs)
    assert listed.far(0.3) == pytest.approx(counts.far(0.3), abs=2e-6)
    few = count_listed(embeddings, pairs[:5], same[:5])
    assert (few.genuine_pairs, few.impostor_pairs) == (2, 3)


def test_accuracy_is_one_when_people_are_told_apart_and_half_when_not() -> None:
    apart = count_pairs(np.repeat(np.eye(4, dtype=np.float32), 2, axis=0), list("aabbccdd"))
    assert apart.best_accuracy() == 1.0
    alike = count_pairs(np.ones((8, 1), dtype=np.float32), list("aabbccdd"))
    assert alike.best_accuracy() == 0.5


def test_without_pairs_the_rates_are_zero() -> None:
    nothing = PairCounts(np.zeros(2_000_000, dtype=np.int64), np.zeros(2_000_000, dtype=np.int64))
    assert nothing.far(0.0) == nothing.tar(0.0) == 0.0
