"""Natural tones on a real face: negatives and few levels, and changes that leave tones natural."""

from collections.abc import Callable

import numpy as np
import pytest

from app.domain import Crop, Tones
from app.vision.quality.assessment import QualityAssessor, grade
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.tones import level_distance
from benchmarks.degraded import grey, negative, posterised, thresholded
from tests.support.degradations import exposure, focus, gamma, jpeg, motion_blur, noisy
from tests.vision.quality.occlusions import full_crop, with_mask, with_spectacles, with_sunglasses

Change = Callable[[Crop], Crop]


def _tones(assessor: QualityAssessor, image: Crop) -> Tones:
    return assessor.assess_crop(full_crop(image)).quality.tones


def _side_light(image: Crop) -> Crop:
    """Return ``image`` with one half of the face in the dark."""
    return np.asarray(image * np.clip(np.linspace(1.2, -0.2, SIDE), 0.02, 1)[None, :, None], np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        grey,
        lambda image: grey(_side_light(image)),
        _side_light,
        lambda image: image[:, ::-1],
        lambda image: exposure(image, -4),
        lambda image: exposure(image, 1),
        lambda image: gamma(image, 0.4),
        lambda image: gamma(image, 2.5),
        lambda image: focus(image, 5),
        lambda image: motion_blur(image, 25),
        lambda image: noisy(image, 12),
        lambda image: jpeg(image, 30),
        lambda image: jpeg(image, 5),
        with_mask,
        with_spectacles,
        with_sunglasses,
    ],
)
def test_light_blur_and_covered_parts_leave_tones_natural(
    assessor: QualityAssessor, crop: QualityCrop, change: Change
) -> None:
    assert _tones(assessor, np.ascontiguousarray(change(crop.image))) is Tones.NATURAL


@pytest.mark.parametrize(
    "change",
    [
        negative,
        lambda image: negative(grey(image)),
        lambda image: jpeg(negative(image), 60),
        lambda image: negative(exposure(image, -1)),
        thresholded,
        lambda image: jpeg(thresholded(image), 75),
        *[lambda image, levels=levels: posterised(levels, image) for levels in (2, 3, 4)],
        *[lambda image, levels=levels: posterised(levels, grey(image)) for levels in (2, 3, 4)],
    ],
)
def test_negatives_and_posterised_faces_are_unusable(
    assessor: QualityAssessor, crop: QualityCrop, change: Change
) -> None:
    quality = assessor.assess_crop(full_crop(np.asarray(change(crop.image), np.uint8))).quality
    assert (quality.tones, quality.score, grade(quality)) == (Tones.UNNATURAL, 0, 0)


@pytest.mark.parametrize("grey_level", [0, 90, 255])
def test_a_plain_crop_and_a_face_outside_the_image_have_a_result(assessor: QualityAssessor, grey_level: int) -> None:
    image = np.full((SIDE, SIDE, 3), grey_level, np.uint8)
    for inside in (True, False):
        quality = assessor.assess_crop(QualityCrop(image, np.full((SIDE, SIDE), inside))).quality
        assert grade(quality) == 0


def test_the_distance_from_four_levels_does_not_depend_on_contrast() -> None:
    values = np.arange(256)
    for deviation in (10, 40):
        normal = np.exp(-(((values - 128) / deviation) ** 2) / 2)
        assert level_distance(normal) == pytest.approx(0.21, abs=0.04)
    four_levels = np.isin(values, (0, 85, 170, 255)).astype(float)
    assert level_distance(four_levels) == 0
