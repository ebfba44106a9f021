import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.scoring.similarity import cosine


def _unit(seed: int, dimension: int = 128) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(st.integers(0, 2**32))
def test_an_embedding_has_cosine_exactly_one_with_itself(seed: int) -> None:
    assert cosine(_unit(seed), _unit(seed)) == 1.0


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_the_cosine_is_symmetric_and_equals_the_inner_product(seed: int, other: int) -> None:
    a, b = _unit(seed), _unit(other)
    assert cosine(a, b) == cosine(b, a)
    assert abs(cosine(a, b) - float(a.astype(float) @ b.astype(float))) < 1e-6


def test_opposite_embeddings_have_cosine_minus_one() -> None:
    assert cosine(_unit(1), -_unit(1)) >= -1.0
    assert cosine(_unit(1), -_unit(1)) < -0.999999
