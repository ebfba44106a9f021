from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Quality, QualityPolicy
from app.vision.quality.grade import accepts, grade, problems
from tests.vision.quality.qualities import FINE, improved, qualities

policies = st.sampled_from(QualityPolicy)


def changed(**values: int) -> Quality:
    """A fine quality but for these values."""
    own: dict[str, Any] = {name: values.pop(name) for name in ("score", "sharpness", "brightness") if name in values}
    return replace(FINE, **own, completeness=replace(FINE.completeness, **values))


@pytest.mark.parametrize(
    ("values", "words", "severe", "slight"),
    [
        ({"sharpness": 39}, "extreme blurriness", True, False),
        ({"sharpness": 40}, "blurriness", False, False),
        ({"sharpness": 59}, "blurriness", False, False),
        ({"sharpness": 60}, "average blurriness", False, False),
        ({"sharpness": 69}, "average blurriness", False, False),
        ({"sharpness": 70}, "average blurriness", False, True),
        ({"sharpness": 79}, "average blurriness", False, True),
        ({"brightness": 19}, "excessive dimness", False, False),
        ({"brightness": 20}, "excessive dimness", False, True),
        ({"brightness": 29}, "excessive dimness", False, True),
        ({"brightness": 71}, "excessive brightness", False, True),
        ({"brightness": 80}, "excessive brightness", False, True),
        ({"brightness": 81}, "excessive brightness", False, False),
        ({"eye": 80}, "covered eyes", True, False),
        ({"nose": 60}, "covered nose", True, False),
        ({"mouth": 50}, "covered mouth", True, False),
        ({"eyebrow": 80}, "covered eyebrows", False, True),
        ({"eyebrow": 70}, "covered eyebrows", False, True),
        ({"eyebrow": 69}, "covered eyebrows", False, False),
        ({"cheek": 70}, "covered cheeks", False, True),
        ({"cheek": 59}, "covered cheeks", False, False),
        ({"chin": 60}, "covered chin", False, True),
        ({"chin": 59}, "covered chin", False, False),
    ],
)
def test_a_value_beyond_the_edge_of_its_band_is_a_problem(
    values: dict[str, int], words: str, severe: bool, slight: bool
) -> None:
    (problem,) = problems(changed(**values))
    assert (problem.text, problem.is_severe, problem.is_slight) == (words, severe, slight)


@pytest.mark.parametrize(
    "values",
    [
        {"sharpness": 80},
        {"brightness": 30},
        {"brightness": 70},
        {"eye": 81},
        {"nose": 61},
        {"mouth": 51},
        {"eyebrow": 81},
        {"cheek": 71},
        {"chin": 71},
    ],
)
def test_a_value_at_the_edge_of_its_band_is_none(values: dict[str, int]) -> None:
    assert problems(changed(**values)) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 4),
        ({"sharpness": 75}, 4),
        ({"sharpness": 65}, 3),
        ({"sharpness": 75, "brightness": 75}, 3),
        ({"sharpness": 45, "chin": 0}, 3),
        ({"sharpness": 75, "brightness": 25, "chin": 65}, 2),
        ({"brightness": 25, "chin": 65, "cheek": 65, "eyebrow": 75, "sharpness": 45}, 2),
        ({"sharpness": 39}, 1),
        ({"eye": 50}, 1),
        ({"mouth": 0, "nose": 0, "chin": 0, "cheek": 30}, 1),
        ({"score": 20, "mouth": 0}, 1),
        ({"score": 19}, 0),
        ({"score": 19, "mouth": 0}, 0),
    ],
)
def test_the_grade_follows_the_words_of_the_vendors_levels(values: dict[str, int], expected: int) -> None:
    assert grade(changed(**values)) == expected


@given(improved())
def test_a_dimension_that_gets_better_never_lowers_the_grade(pair: tuple[Quality, Quality]) -> None:
    quality, better = pair
    assert grade(better) >= grade(quality)


@given(qualities())
def test_grade_0_is_a_score_below_20_and_grade_1_a_severe_problem(quality: Quality) -> None:
    found = grade(quality)
    assert (found == 0) == (quality.score < 20)
    assert found != 1 or any(problem.is_severe for problem in problems(quality))
    assert found < 2 or not any(problem.is_severe for problem in problems(quality))


@given(qualities(), st.integers(0, 3), policies)
def test_a_face_refused_at_one_level_is_refused_at_the_next(
    quality: Quality, level: int, policy: QualityPolicy
) -> None:
    assert accepts(quality, level, policy) or not accepts(quality, level + 1, policy)


@given(qualities(), policies)
def test_level_0_lets_everything_through(quality: Quality, policy: QualityPolicy) -> None:
    assert accepts(quality, 0, policy)


@pytest.mark.parametrize(
    ("policy", "passing"),
    [
        (QualityPolicy.ACCEPT_DESCRIBED, {0: "0", 1: "01", 2: "012", 3: "0123", 4: "01234"}),
        (QualityPolicy.REJECT_DESCRIBED, {0: "0", 1: "0", 2: "01", 3: "012", 4: "01234"}),
    ],
)
def test_each_reading_of_quality_control_lets_these_grades_pass(policy: QualityPolicy, passing: dict[int, str]) -> None:
    worst = {0: {"score": 0}, 1: {"eye": 0}, 2: {"chin": 0, "cheek": 0, "eyebrow": 0}, 3: {"chin": 0}, 4: {}}
    for expected, values in worst.items():
        quality = changed(**values)
        assert grade(quality) == expected
        assert "".join(str(level) for level in range(5) if accepts(quality, level, policy)) == passing[expected]


@given(qualities())
def test_the_stricter_reading_lets_no_more_through(quality: Quality) -> None:
    for level in range(5):
        strict = accepts(quality, level, QualityPolicy.REJECT_DESCRIBED)
        assert not strict or accepts(quality, level, QualityPolicy.ACCEPT_DESCRIBED)
