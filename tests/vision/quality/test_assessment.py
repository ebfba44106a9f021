"""Score, problems, grade and acceptance of constructed qualities; grade and mask of one real face."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Artifact, Completeness, Crop, Quality, QualityPolicy, Tones
from app.vision.quality.assessment import QualityAssessor, accepts, grade, is_masked, problems, quality_score
from app.vision.quality.crop import MAP_SIDE, REGIONS, SIDE, QualityCrop, cell_shares
from tests.support.degradations import exposure, focus
from tests.vision.quality.occlusions import Change, full_crop, with_mask, with_polygon, with_sunglasses
from tests.vision.quality.qualities import COMPLETE, GOOD, improvements, qualities

_ALL_INSIDE = np.ones((SIDE, SIDE), np.bool_)

policies = st.sampled_from(QualityPolicy)


def changed(**values: int) -> Quality:
    """Return a good quality with other ``values``, of the score, of measures or of regions."""
    measures: dict[str, Any] = {
        name: values.pop(name) for name in ("score", "sharpness", "brightness") if name in values
    }
    return replace(GOOD, **measures, completeness=replace(GOOD.completeness, **values))


@given(improvements())
def test_a_better_measure_never_lowers_the_score(pair: tuple[Quality, Quality]) -> None:
    quality, better = pair
    assert better.score >= quality.score


@given(qualities())
def test_a_score_is_a_percentage_and_at_most_the_sharpness(quality: Quality) -> None:
    assert 0 <= quality.score <= quality.sharpness


def test_the_vendors_example_has_the_vendors_score() -> None:
    assert quality_score(73, 47, Completeness(99, 99, 99, 52, 99, 47)) == pytest.approx(63, abs=3)


@pytest.mark.parametrize(
    ("sharpness", "brightness", "completeness", "lowest", "highest"),
    [
        (90, 58, COMPLETE, 80, 100),
        (30, 58, COMPLETE, 20, 39),
        (90, 8, COMPLETE, 10, 39),
        (90, 58, Completeness(80, 0, 100, 100, 100, 100), 40, 59),
        (90, 58, Completeness(100, 100, 10, 40, 0, 0), 20, 39),
        (90, 58, Completeness(80, 0, 10, 40, 0, 0), 0, 19),
    ],
    ids=["studio photo", "very blurry", "in the dark", "sunglasses", "mask", "mask and sunglasses"],
)
def test_typical_images_have_scores_in_the_expected_band(
    sharpness: int, brightness: int, completeness: Completeness, lowest: int, highest: int
) -> None:
    assert lowest <= quality_score(sharpness, brightness, completeness) <= highest


@pytest.mark.parametrize(
    ("values", "text", "is_severe", "is_borderline"),
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
def test_a_value_outside_the_good_band_is_a_problem(
    values: dict[str, int], text: str, is_severe: bool, is_borderline: bool
) -> None:
    (problem,) = problems(changed(**values))
    assert (problem.text, problem.is_severe, problem.is_borderline) == (text, is_severe, is_borderline)


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
def test_a_value_at_the_edge_of_the_good_band_is_no_problem(values: dict[str, int]) -> None:
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
def test_the_grade_follows_the_vendors_description_of_levels(values: dict[str, int], expected: int) -> None:
    assert grade(changed(**values)) == expected


def test_unnatural_tones_have_score_0_and_grade_0() -> None:
    score = quality_score(95, 50, COMPLETE, Tones.UNNATURAL)
    quality = replace(GOOD, tones=Tones.UNNATURAL, score=score)
    assert (score, grade(quality)) == (0, 0)
    assert [(problem.text, problem.is_severe) for problem in problems(quality)] == [("unnatural tones", True)]


@pytest.mark.parametrize(
    ("artifact", "text"),
    [(Artifact.OVERLAY, "text or lines over the face"), (Artifact.COMPRESSION, "strong compression")],
)
def test_an_artifact_is_a_severe_problem_and_halves_the_score(artifact: Artifact, text: str) -> None:
    quality = replace(GOOD, artifact=artifact)
    assert [(problem.text, problem.is_severe) for problem in problems(quality)] == [(text, True)]
    assert grade(quality) == 1
    assert quality_score(95, 50, COMPLETE, Tones.NATURAL, artifact) == 48


@given(improvements())
def test_a_better_measure_never_lowers_the_grade(pair: tuple[Quality, Quality]) -> None:
    quality, better = pair
    assert grade(better) >= grade(quality)


@given(qualities())
def test_grade_0_is_a_score_below_20_and_grade_1_a_severe_problem(quality: Quality) -> None:
    actual = grade(quality)
    assert (actual == 0) == (quality.score < 20)
    assert actual != 1 or any(problem.is_severe for problem in problems(quality))
    assert actual < 2 or not any(problem.is_severe for problem in problems(quality))


@given(qualities(), st.integers(0, 3), policies)
def test_a_face_rejected_at_a_level_is_rejected_at_the_next(
    quality: Quality, level: int, policy: QualityPolicy
) -> None:
    assert accepts(quality, level, policy) or not accepts(quality, level + 1, policy)


@given(qualities(), policies)
def test_level_0_accepts_every_face(quality: Quality, policy: QualityPolicy) -> None:
    assert accepts(quality, 0, policy)


@pytest.mark.parametrize(
    ("policy", "accepted_levels"),
    [
        (QualityPolicy.ACCEPT_DESCRIBED, {0: "0", 1: "01", 2: "012", 3: "0123", 4: "01234"}),
        (QualityPolicy.REJECT_DESCRIBED, {0: "0", 1: "0", 2: "01", 3: "012", 4: "01234"}),
    ],
)
def test_each_policy_accepts_a_grade_at_these_levels(policy: QualityPolicy, accepted_levels: dict[int, str]) -> None:
    examples = {0: {"score": 0}, 1: {"eye": 0}, 2: {"chin": 0, "cheek": 0, "eyebrow": 0}, 3: {"chin": 0}, 4: {}}
    for expected, values in examples.items():
        quality = changed(**values)
        assert grade(quality) == expected
        assert "".join(str(level) for level in range(5) if accepts(quality, level, policy)) == accepted_levels[expected]


@given(qualities())
def test_reject_described_is_at_least_as_strict_as_accept_described(quality: Quality) -> None:
    for level in range(5):
        is_accepted = accepts(quality, level, QualityPolicy.REJECT_DESCRIBED)
        assert not is_accepted or accepts(quality, level, QualityPolicy.ACCEPT_DESCRIBED)


def _dim_blurry_and_covered(image: Crop) -> Crop:
    covered_chin = with_polygon(image, [(40, 172), (184, 172), (184, 223), (40, 223)], (60, 140, 60))
    return exposure(focus(covered_chin, 1.5), -4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image: image, 4),
        (lambda image: focus(image, 1.0), 4),
        (lambda image: focus(image, 1.8), 3),
        (lambda image: exposure(image, -5), 3),
        (_dim_blurry_and_covered, 2),
        (with_mask, 1),
        (lambda image: focus(image, 5), 1),
        (lambda image: with_mask(with_sunglasses(image)), 0),
        (lambda image: exposure(image, -7), 0),
    ],
    ids=[
        "unchanged",
        "slightly blurred",
        "blurred",
        "dim",
        "three problems",
        "mask",
        "very blurry",
        "mask and sunglasses",
        "in the dark",
    ],
)
def test_a_real_face_is_accepted_up_to_its_grade(
    assessor: QualityAssessor, crop: QualityCrop, change: Change, expected: int
) -> None:
    quality = assessor.assess_crop(full_crop(np.asarray(change(crop.image), np.uint8))).quality
    assert grade(quality) == expected, quality
    accepted = [accepts(quality, level, QualityPolicy.ACCEPT_DESCRIBED) for level in range(1, 5)]
    assert accepted == [level <= expected for level in range(1, 5)]


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        (("nose", "mouth", "chin"), True),
        (("nose", "mouth", "chin", "cheek", "eye"), True),
        (("nose", "mouth"), False),
        (("mouth", "chin"), False),
        (("eye",), False),
        ((), False),
    ],
)
def test_a_mask_covers_nose_mouth_and_chin(covered: tuple[str, ...], expected: bool) -> None:
    visibility = np.ones((MAP_SIDE, MAP_SIDE), np.float32)
    for region in covered:
        visibility[cell_shares(REGIONS[region]) > 0] = 0
    assert is_masked(visibility, _ALL_INSIDE) is expected


@pytest.mark.parametrize(("bottom", "expected"), [(SIDE, True), (180, True), (163, True), (145, False), (120, False)])
def test_cells_outside_the_image_do_not_count_as_a_mask(bottom: int, expected: bool) -> None:
    """Everything is covered, and the image ends below the mouth, in the mouth or at the nose."""
    inside = _ALL_INSIDE.copy()
    inside[bottom:] = False
    assert is_masked(np.zeros((MAP_SIDE, MAP_SIDE), np.float32), inside) is expected


def test_a_real_face_is_masked_by_a_mask_but_not_by_sunglasses(assessor: QualityAssessor, crop: QualityCrop) -> None:
    for image, expected in ((crop.image, False), (with_mask(crop.image), True), (with_sunglasses(crop.image), False)):
        assert is_masked(assessor.assess_crop(full_crop(image)).visibility, _ALL_INSIDE) is expected
