from __future__ import annotations

import pytest
from hypothesis import given

from app.domain import Completeness, Quality
from app.vision.quality.score import score
from tests.vision.quality.qualities import WHOLE, improved, qualities


@given(improved())
def test_a_dimension_that_gets_better_never_lowers_the_score(pair: tuple[Quality, Quality]) -> None:
    quality, better = pair
    assert better.score >= quality.score


@given(qualities())
def test_a_score_is_a_percentage_and_never_above_the_sharpness(quality: Quality) -> None:
    assert 0 <= quality.score <= quality.sharpness


def test_the_vendors_example_scores_as_the_vendor_says() -> None:
    assert score(73, 47, Completeness(99, 99, 99, 52, 99, 47)) == pytest.approx(63, abs=3)


@pytest.mark.parametrize(
    ("of", "sharpness", "brightness", "completeness", "lowest", "highest"),
    [
        ("a studio photo", 90, 58, WHOLE, 80, 100),
        ("the same, very blurry", 30, 58, WHOLE, 20, 39),
        ("the same in the dark", 90, 8, WHOLE, 10, 39),
        ("the same with sunglasses", 90, 58, Completeness(80, 0, 100, 100, 100, 100), 40, 59),
        ("the same with a mask: poor, but of some use", 90, 58, Completeness(100, 100, 10, 40, 0, 0), 20, 39),
        ("the same with both: of no use", 90, 58, Completeness(80, 0, 10, 40, 0, 0), 0, 19),
    ],
)
def test_scores_lie_in_the_bands_that_people_expect(
    of: str, sharpness: int, brightness: int, completeness: Completeness, lowest: int, highest: int
) -> None:
    assert lowest <= score(sharpness, brightness, completeness) <= highest, of
