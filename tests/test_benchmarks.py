"""What the benchmarks stand on: the services they start, and their arithmetic."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.tools.bench.load import sustain
from benchmarks.memory import trend
from benchmarks.subjects import BASELINE, STANDIN, pictures, running_subjects


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_baseline_and_ours_answer_the_same_requests() -> None:
    files = pictures()["LFW, 250 px"][:4]
    with running_subjects([BASELINE, STANDIN]) as running:
        for subject in running.values():
            load = asyncio.run(sustain(subject.target(files), 2, 1.0))
            assert set(load.codes) == {"OK"}
            assert 50 < subject.resident_mib <= subject.peak_mib


def test_a_trend_is_found_with_an_interval_around_it() -> None:
    x = np.linspace(0, 10, 200)
    y = 3.0 + 0.5 * x + np.random.default_rng(0).normal(0, 0.2, 200)
    slope, (low, high) = trend(x, y)
    assert low < 0.5 < high
    assert high - low < 0.2
    assert slope == pytest.approx((low + high) / 2)


def test_two_points_have_no_interval() -> None:
    assert np.isnan(trend(np.array([0.0, 1.0]), np.array([1.0, 2.0]))[0])
