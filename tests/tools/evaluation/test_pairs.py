import numpy as np
import pytest

from app.tools.evaluation.pairs import ListedPairs, PairCounts, count_listed_pairs, count_pairs
from tests.support.embeddings import without_degradation


def _embeddings(count: int, dimension: int = 16) -> np.ndarray:
    return without_degradation(np.random.default_rng(7).normal(size=(count, dimension)))


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, list[str]]:
    return _embeddings(1200), [f"person {i // 3}" for i in range(1200)]


def test_every_unordered_pair_is_counted_once(faces: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*faces)
    assert counts.genuine_pairs == 400 * 3
    assert counts.genuine_pairs + counts.impostor_pairs == 1200 * 1199 // 2


def test_rates_equal_those_of_comparing_every_pair(faces: tuple[np.ndarray, list[str]]) -> None:
    embeddings, people = faces
    counts = count_pairs(embeddings, people)
    upper = np.triu_indices(1200, 1)
    cosines = (embeddings @ embeddings.T)[upper]
    same = np.array(people)[upper[0]] == np.array(people)[upper[1]]
    for cosine in (-0.5, 0.0, 0.3, 0.7):
        assert counts.far(cosine) == pytest.approx((cosines[~same] >= cosine).mean(), abs=2e-6)
        assert counts.tar(cosine) == pytest.approx((cosines[same] >= cosine).mean(), abs=1e-3)


@pytest.mark.parametrize("far", [0.5, 0.1, 1e-3, 1e-5])
def test_the_cosine_at_a_far_is_the_smallest_that_keeps_it(faces: tuple[np.ndarray, list[str]], far: float) -> None:
    counts = count_pairs(*faces)
    cosine = counts.cosine_at_far(far)
    assert counts.far(cosine) <= far < counts.far(cosine - 1e-6)


def test_no_impostor_is_accepted_at_far_zero(faces: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*faces)
    assert counts.far(counts.cosine_at_far(0.0)) == 0.0


@pytest.mark.parametrize("tar", [1.0, 0.9, 0.05])
def test_the_cosine_at_a_tar_accepts_that_share(faces: tuple[np.ndarray, list[str]], tar: float) -> None:
    counts = count_pairs(*faces)
    cosine = counts.cosine_at_tar(tar)
    assert counts.tar(cosine) == pytest.approx(tar, abs=1e-3)


def test_counts_at_or_above_a_cosine_agree_with_the_rates(faces: tuple[np.ndarray, list[str]]) -> None:
    counts = count_pairs(*faces)
    cosines = np.array([-1.0, 0.0, 0.31, 1.0])
    genuine, impostor = counts.at_or_above(cosines)
    assert list(genuine / counts.genuine_pairs) == [counts.tar(cosine) for cosine in cosines]
    assert list(impostor / counts.impostor_pairs) == [counts.far(cosine) for cosine in cosines]


@pytest.mark.parametrize("max_pairs", [10**9, 100_000])
def test_impostor_pairs_above_the_limit_are_sampled_by_seed(
    faces: tuple[np.ndarray, list[str]], monkeypatch: pytest.MonkeyPatch, max_pairs: int
) -> None:
    all_pairs = count_pairs(*faces)
    monkeypatch.setattr("app.tools.evaluation.pairs._TILE", 64)
    counts, repeated, other = (count_pairs(*faces, max_pairs=max_pairs, seed=seed) for seed in (1, 1, 2))
    assert counts.genuine_pairs == all_pairs.genuine_pairs
    assert np.array_equal(counts.impostor, repeated.impostor)
    if max_pairs > all_pairs.impostor_pairs:
        assert counts.impostor_pairs == all_pairs.impostor_pairs
    else:
        assert counts.impostor_pairs == pytest.approx(max_pairs, rel=0.3)
        assert not np.array_equal(counts.impostor, other.impostor)
        for cosine in (0.0, 0.3, 0.5):
            assert counts.far(cosine) == pytest.approx(all_pairs.far(cosine), rel=0.1)


def test_only_listed_pairs_are_counted(faces: tuple[np.ndarray, list[str]]) -> None:
    embeddings, people = faces
    pairs = np.array(np.triu_indices(1200, 1)).T
    same = np.array(people)[pairs[:, 0]] == np.array(people)[pairs[:, 1]]
    listed, counts = count_listed_pairs(embeddings, ListedPairs(pairs, same)), count_pairs(embeddings, people)
    assert (listed.genuine_pairs, listed.impostor_pairs) == (counts.genuine_pairs, counts.impostor_pairs)
    assert listed.far(0.3) == pytest.approx(counts.far(0.3), abs=2e-6)
    few = count_listed_pairs(embeddings, ListedPairs(pairs[:5], same[:5]))
    assert (few.genuine_pairs, few.impostor_pairs) == (2, 3)


def test_accuracy_is_1_for_separable_people_and_half_for_identical_faces() -> None:
    separable = count_pairs(np.repeat(without_degradation(np.eye(4)), 2, axis=0), list("aabbccdd"))
    assert separable.best_accuracy() == 1.0
    identical = count_pairs(without_degradation(np.ones((8, 1))), list("aabbccdd"))
    assert identical.best_accuracy() == 0.5


def test_without_pairs_the_rates_are_zero() -> None:
    empty = PairCounts(np.zeros(2_000_000, dtype=np.int64), np.zeros(2_000_000, dtype=np.int64))
    assert empty.far(0.0) == empty.tar(0.0) == 0.0
