"""The fitted tail against distributions whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest

from app.scoring.tail import Tail


@pytest.mark.parametrize("k", [-0.2, 0.0, 0.1])
def test_the_parameters_of_a_pareto_tail_are_found(k: float) -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    excess = np.sort(-0.05 * np.log(shares) if k == 0 else 0.05 / k * (1 - shares**k))
    tail = Tail.fit(0.5, 1e-3, excess, np.ones_like(excess))
    assert tail.k == pytest.approx(k, abs=0.02)
    assert tail.alpha == pytest.approx(0.05, rel=0.02)
    expected = -0.05 * np.log(1e-2) if k == 0 else 0.05 / k * (1 - 1e-2**k)
    assert tail.cosine_at_far(1e-5) == pytest.approx(0.5 + expected, rel=0.02)


def test_a_tail_that_seems_to_end_soon_is_not_believed() -> None:
    excess = np.linspace(0.0, 0.05, 200)  # even up to an end, where k is 1
    tail = Tail.fit(0.3, 0.2, excess, np.ones_like(excess))
    assert tail.k == 0.1
    assert tail.cosine_at_far(1e-5) > 0.3 + 2 * 0.05


def test_the_tail_starts_at_its_threshold_and_rises() -> None:
    tail = Tail(0.3, 1e-2, 0.0, 0.04)
    cosines = [tail.cosine_at_far(far) for far in (1e-2, 1e-3, 1e-4, 1e-5)]
    assert cosines[0] == 0.3
    assert cosines == sorted(cosines)


def test_a_normal_tail_is_extended_by_two_powers_of_ten() -> None:
    """Above its 1e-2 quantile, from 100,000 draws: 1e-5 lies at 4.265."""
    found = []
    for seed in range(20):
        draws = np.sort(np.random.default_rng(seed).normal(size=100_000))
        above = draws[draws >= 2.3263]
        tail = Tail.fit(2.3263, len(above) / len(draws), above - 2.3263, np.ones_like(above))
        found.append(tail.cosine_at_far(1e-5))
    assert np.mean(found) == pytest.approx(4.265, abs=0.15)
    assert np.std(found) < 0.2
