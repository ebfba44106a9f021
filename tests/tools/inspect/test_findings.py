"""The quality table uses the bands that the vendor documents."""

import pytest

from app.domain import Completeness, Quality
from app.tools.inspect.findings import quality_rows


def _words(value: int) -> list[str]:
    completeness = Completeness(value, value, value, value, value, value)
    return [row.band.label for row in quality_rows(Quality(value, value, value, completeness))]


@pytest.mark.parametrize(
    ("value", "score", "sharpness", "brightness"),
    [
        (0, "poor", "very blurry", "dark"),
        (29, "poor", "very blurry", "dark"),
        (30, "poor", "very blurry", "normal"),
        (39, "poor", "very blurry", "normal"),
        (40, "fair", "blurry", "normal"),
        (59, "fair", "blurry", "normal"),
        (60, "good", "average", "normal"),
        (70, "good", "average", "normal"),
        (71, "good", "average", "bright"),
        (79, "good", "average", "bright"),
        (80, "excellent", "sharp", "bright"),
        (100, "excellent", "sharp", "bright"),
    ],
)
def test_each_value_is_named_by_its_band(value: int, score: str, sharpness: str, brightness: str) -> None:
    assert _words(value)[:3] == [score, sharpness, brightness]


@pytest.mark.parametrize(
    ("region", "covered"), [("eyebrow", 80), ("eye", 80), ("nose", 60), ("cheek", 70), ("mouth", 50), ("chin", 70)]
)
def test_each_region_is_covered_up_to_its_own_percentage(region: str, covered: int) -> None:
    names = [row.name for row in quality_rows(Quality(0, 0, 0, Completeness(0, 0, 0, 0, 0, 0)))]
    row = names.index(region.capitalize())
    assert _words(covered)[row] == "covered"
    assert _words(covered + 1)[row] == "visible"
