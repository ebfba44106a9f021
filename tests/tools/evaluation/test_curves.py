import numpy as np
import pytest

from app.tools.evaluation.curves import RateCurve, rate_curve
from app.tools.evaluation.evaluation import Evaluation, evaluate
from app.tools.evaluation.pairs import count_pairs
from tests.tools.evaluation.random_faces import calibration_of, random_faces


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """FARs below 1e-3 are extrapolated."""
    faces = random_faces(50)
    counts = count_pairs(faces.embeddings, faces.people)
    return evaluate(faces, counts, calibration_of(counts, faces))


@pytest.fixture(scope="module")
def curve(evaluation: Evaluation) -> RateCurve:
    return rate_curve(evaluation)


def test_measured_rates_are_those_of_the_pairs(evaluation: Evaluation, curve: RateCurve) -> None:
    for i in range(0, curve.measured, 20):
        assert curve.far[i] == evaluation.counts.far(curve.cosines[i])
        assert curve.tar[i] == evaluation.counts.tar(curve.cosines[i])


def test_extrapolated_rates_end_at_the_last_operating_point(evaluation: Evaluation, curve: RateCurve) -> None:
    last = evaluation.table.impostor[-1]
    assert last.is_extrapolated
    assert len(curve.far) == curve.measured + 50
    assert curve.cosines[-1] == pytest.approx(last.cosine)
    assert curve.far[-1] == pytest.approx(last.far)


def test_rates_fall_with_the_cosine(curve: RateCurve) -> None:
    assert (np.diff(curve.cosines) > 0).all()
    assert (np.diff(curve.far) <= 0).all()
    assert (np.diff(curve.tar) <= 0).all()
