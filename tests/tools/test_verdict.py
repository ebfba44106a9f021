"""The meaning of a score."""

import pytest

from app.domain import Comparison, FaceModelVersion, Population
from app.scoring.calibration import Status
from app.settings import ModelsSettings
from app.tools.verdict import verdicts_on


@pytest.mark.parametrize(
    ("version", "score", "reached"),
    [
        (FaceModelVersion.V3, 39.9, []),
        (FaceModelVersion.V3, 40.0, [40]),
        (FaceModelVersion.V3, 55.0, [40, 50]),
        (FaceModelVersion.V3, 60.0, [40, 50, 60]),
        (FaceModelVersion.V2, 60.0, []),
        (FaceModelVersion.V2, 85.0, [70, 80]),
    ],
)
def test_a_score_at_a_threshold_means_the_same_person(
    version: FaceModelVersion, score: float, reached: list[int]
) -> None:
    meaning = verdicts_on(Comparison(score, 0.5, version), ModelsSettings(pack="open"))
    assert [verdict.threshold for verdict in meaning.verdicts if verdict.is_same_person] == reached
    assert [verdict.far_fraction for verdict in meaning.verdicts] == [1e-3, 1e-4, 1e-5]
    tars = [verdict.tar_fraction for verdict in meaning.verdicts]
    assert tars == sorted(tars, reverse=True)
    assert meaning.status is Status.MEASURED


def test_the_rates_are_those_of_the_population_and_of_the_pack_of_the_version() -> None:
    matched = Comparison(55.0, 0.5, FaceModelVersion.V2, Population.MATCHED)
    meaning = verdicts_on(matched, ModelsSettings(pack="open", pack_2_0="omz"))
    assert meaning.status is Status.PARTLY_EXTRAPOLATED
    assert all(verdict.is_extrapolated for verdict in meaning.verdicts)
    assert meaning.verdicts[1].tar_fraction == pytest.approx(0.89, abs=0.01)
    assert str(meaning.verdicts[0]) == (
        "threshold 70 (lenient)  not the same person  FAR 0.1 %, extrapolated, TAR about 96 %"
    )
