"""Each level of QualityControl on pictures of one real face that lie on either side of it."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain import Crop, QualityPolicy
from app.vision.quality.assess import QualityAssessor
from app.vision.quality.crop import QualityCrop
from app.vision.quality.grade import accepts, grade
from tests.support.degradations import exposure, focus
from tests.vision.quality.faces import Change, drawn, in_sunglasses, masked, whole


def _dim_and_blurry_with_a_covered_chin(image: Crop) -> Crop:
    covered = drawn(image, [(40, 172), (184, 172), (184, 223), (40, 223)], (60, 140, 60))
    return exposure(focus(covered, 1.5), -4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image: image, 4),
        (lambda image: focus(image, 1.0), 4),
        (lambda image: focus(image, 1.8), 3),
        (lambda image: exposure(image, -5), 3),
        (_dim_and_blurry_with_a_covered_chin, 2),
        (masked, 1),
        (lambda image: focus(image, 5), 1),
        (lambda image: masked(in_sunglasses(image)), 0),
        (lambda image: exposure(image, -7), 0),
    ],
    ids=[
        "as she is",
        "a little blurred",
        "blurred",
        "dim",
        "three problems",
        "mask",
        "very blurry",
        "mask and sunglasses",
        "in the dark",
    ],
)
def test_a_picture_passes_up_to_its_grade(
    assessor: QualityAssessor, crop: QualityCrop, change: Change, expected: int
) -> None:
    quality = assessor.assess_crop(whole(np.asarray(change(crop.image), np.uint8))).quality
    assert grade(quality) == expected, quality
    passed = [accepts(quality, level, QualityPolicy.ACCEPT_DESCRIBED) for level in range(1, 5)]
    assert passed == [level <= expected for level in range(1, 5)]
