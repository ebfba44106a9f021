import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scoring.similarity import cosine, cosine_matrix, pair_cosines
from tests.support.embeddings import without_degradation


def _embedding(seed: int, degradation: float = 0.0) -> np.ndarray:
    embedding = without_degradation(np.random.default_rng(seed).normal(size=128))
    embedding[-1] = degradation
    return embedding


@given(st.integers(0, 2**32))
def test_an_embedding_has_cosine_exactly_one_with_itself(seed: int) -> None:
    assert cosine(_embedding(seed), _embedding(seed)) == 1.0


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_the_cosine_is_symmetric_and_equals_the_inner_product(seed: int, other: int) -> None:
    a, b = _embedding(seed), _embedding(other)
    assert cosine(a, b) == cosine(b, a)
    assert abs(cosine(a, b) - float(a.astype(float) @ b.astype(float))) < 1e-6


def test_opposite_embeddings_have_cosine_minus_one() -> None:
    assert cosine(_embedding(1), -_embedding(1)) >= -1.0
    assert cosine(_embedding(1), -_embedding(1)) < -0.999999


def test_two_degraded_images_lose_the_product_of_their_degradations() -> None:
    good = cosine(_embedding(1), _embedding(2))
    assert cosine(_embedding(1, 0.5), _embedding(2, 0.4)) == pytest.approx(good - 0.2)


@pytest.mark.parametrize("degradation", [0.0, 0.9])
def test_an_image_has_cosine_one_with_itself_however_degraded(degradation: float) -> None:
    embedding = _embedding(1, degradation)
    assert cosine(embedding, embedding) == 1.0
    assert pair_cosines(embedding[None], embedding[None]) == pytest.approx(1.0, abs=1e-4)


def test_a_copy_of_a_degraded_image_loses_little() -> None:
    original = _embedding(1, 0.9)
    copy = without_degradation(original[:-1] + 0.0005 * _embedding(2)[:-1])
    copy[-1] = 0.9
    assert cosine(original, copy) > 0.999


def test_one_degraded_image_keeps_the_cosine() -> None:
    assert cosine(_embedding(1, 0.9), _embedding(2)) == cosine(_embedding(1), _embedding(2))


def test_matrix_and_pairs_agree_with_single_cosines() -> None:
    rows = np.stack([_embedding(seed, 0.1 * seed) for seed in range(4)])
    expected = [[cosine(a, b) for b in rows] for a in rows]
    np.testing.assert_allclose(cosine_matrix(rows, rows), expected, atol=1e-6)
    np.testing.assert_allclose(
        pair_cosines(rows, rows[::-1]), np.array(expected)[range(4), range(3, -1, -1)], atol=1e-6
    )
