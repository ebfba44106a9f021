from __future__ import annotations

import numpy as np
import pytest

from app.scoring.calibration import Calibration, genuine_points, impostor_points
from app.scoring.evaluation import Evaluation, LabelledFaces, evaluate
from app.scoring.pairs import count_pairs
from app.tools.evaluation.curves import RateCurve, rate_curve


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Random embeddings of 50 people with four images each: FARs below 1e-3 are extrapolated."""
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(50, 24)), 4, axis=0) + 0.45 * rng.normal(size=(200, 24))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    people = [str(i // 4) for i in range(200)]
    counts = count_pairs(rows, people)
    calibration = Calibration(
        pack="random",
        embedder_sha256="ab" * 32,
        data="random",
        date="2026-11-22",
        people=50,
        images=200,
        not_found=0,
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=impostor_points(counts),
        genuine=genuine_points(counts),
    )
    return evaluate(LabelledFaces(rows, people, people), counts, calibration)


@pytest.fixture(scope="module")
def curve(evaluation: Evaluation) -> RateCurve:
    return rate_curve(evaluation)


def test_measured_rates_are_those_of_the_pairs(evaluation: Evaluation, curve: RateCurve) -> None:
    for i in range(0, curve.measured, 20):
        assert curve.far[i] == evaluation.counts.far(curve.cosines[i])
        assert curve.tar[i] == evaluation.counts.tar(curve.cosines[i])


def test_extrapolated_rates_end_at_the_last_operating_point(evaluation: Evaluation, curve: RateCurve) -> None:
    last = evaluation.calibration.impostor[-1]
    assert last.is_extrapolated
    assert len(curve.far) == curve.measured + 50
    assert curve.cosines[-1] == pytest.approx(last.cosine)
    assert curve.far[-1] == pytest.approx(last.far)


def test_rates_fall_with_the_cosine(curve: RateCurve) -> None:
    assert (np.diff(curve.cosines) > 0).all()
    assert (np.diff(curve.far) <= 0).all()
    assert (np.diff(curve.tar) <= 0).all()
