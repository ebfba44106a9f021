"""The fitted tail of distributions with a known tail."""

import numpy as np
import pytest

from app.tools.evaluation.tail import Tail


def _cosines(unbounded: np.ndarray) -> np.ndarray:
    return np.asarray(-np.expm1(-unbounded))


@pytest.mark.parametrize("k", [-0.3, -0.1, 0.0])
def test_the_fit_recovers_the_parameters_of_a_pareto_tail(k: float) -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    excess = np.sort(-0.05 * np.log(shares) if k == 0 else 0.05 / k * (1 - shares**k))
    threshold = float(_cosines(np.array(0.5)))
    tail = Tail.fit(threshold, 1e-3, _cosines(0.5 + excess), np.ones_like(excess))
    assert tail.k == pytest.approx(k, abs=0.02)
    assert tail.alpha == pytest.approx(0.05, rel=0.02)
    expected = -0.05 * np.log(1e-2) if k == 0 else 0.05 / k * (1 - 1e-2**k)
    assert tail.cosine_at_far(1e-5) == pytest.approx(float(_cosines(np.array(0.5 + expected))), rel=0.01)


def test_a_bounded_tail_is_fitted_as_exponential() -> None:
    cosines = np.linspace(0.3, 0.35, 200)  # uniform up to a bound
    tail = Tail.fit(0.3, 0.2, cosines, np.ones_like(cosines))
    assert tail.k == 0.0
    assert tail.cosine_at_far(1e-5) > 0.45


def test_the_tail_starts_at_its_threshold_and_rises_to_less_than_1() -> None:
    tail = Tail(0.95, 1e-2, -0.1, 0.5)
    cosines = [tail.cosine_at_far(far) for far in (1e-2, 1e-3, 1e-4, 1e-5, 1e-9)]
    assert cosines[0] == pytest.approx(0.95)
    assert cosines == sorted(set(cosines))
    assert cosines[-1] < 1.0


def test_equal_cosines_have_a_tail_without_length() -> None:
    tail = Tail.fit(0.5, 0.1, np.array([0.5]), np.array([50.0]))
    assert tail.cosine_at_far(1e-5) == pytest.approx(0.5)
