import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import FaceModelVersion, Population
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.calibration import CalibrationError, PopulationTable
from app.scoring.scale import Scale

_V2, _V3 = FaceModelVersion.V2, FaceModelVersion.V3


@pytest.fixture(scope="module")
def measured(store: Store, pack: Pack) -> PopulationTable:
    return calibration.load(store.calibration_path("open"), pack.embedder_sha256).table(Population.GENERAL)


@pytest.fixture(scope="module")
def scales(measured: PopulationTable) -> dict[FaceModelVersion, Scale]:
    return {version: Scale(measured, version) for version in FaceModelVersion}


@pytest.mark.parametrize(
    ("version", "far", "score"),
    [(_V3, 1e-3, 40), (_V3, 1e-4, 50), (_V3, 1e-5, 60), (_V2, 1e-3, 70), (_V2, 1e-4, 80), (_V2, 1e-5, 90)],
)
def test_documented_scores_have_the_documented_fars(
    scales: dict[FaceModelVersion, Scale],
    measured: PopulationTable,
    version: FaceModelVersion,
    far: float,
    score: float,
) -> None:
    assert scales[version].score(measured.cosine_at_far(far)) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("version", list(FaceModelVersion))
def test_scores_range_from_0_to_100(scales: dict[FaceModelVersion, Scale], version: FaceModelVersion) -> None:
    assert scales[version].score(-1.0) == 0.0
    assert scales[version].score(1.0) == 100.0


@pytest.mark.parametrize("version", list(FaceModelVersion))
@given(a=st.floats(-1, 1), b=st.floats(-1, 1))
def test_a_higher_cosine_has_a_higher_score(
    scales: dict[FaceModelVersion, Scale], version: FaceModelVersion, a: float, b: float
) -> None:
    low, high = sorted((a, b))
    if high - low > 1e-9:
        assert scales[version].score(low) < scales[version].score(high)


@pytest.mark.parametrize("version", list(FaceModelVersion))
@given(score=st.floats(0, 100))
def test_the_score_of_the_cosine_of_a_score_is_that_score(
    scales: dict[FaceModelVersion, Scale], version: FaceModelVersion, score: float
) -> None:
    scale = scales[version]
    assert math.isclose(scale.score(scale.cosine(score)), score, abs_tol=1e-6)


def test_95_percent_of_genuine_pairs_above_60_are_above_80(
    scales: dict[FaceModelVersion, Scale], measured: PopulationTable
) -> None:
    at_60, at_80 = (measured.tar_at_cosine(scales[_V3].cosine(score)) for score in (60, 80))
    assert at_80 == pytest.approx(0.95 * at_60, abs=1e-6)


def test_a_calibration_without_an_increasing_scale_is_rejected(measured: PopulationTable) -> None:
    useless = dataclasses.replace(measured, genuine=((0.99, 0.80), (0.05, 0.85)))
    with pytest.raises(CalibrationError, match="no increasing scale"):
        Scale(useless, _V3)
