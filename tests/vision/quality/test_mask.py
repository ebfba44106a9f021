from __future__ import annotations

import numpy as np
import pytest

from app.vision.quality.assess import QualityAssessor
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.mask import is_masked
from app.vision.quality.regions import MAP_SIDE, POLYGONS, weights
from tests.vision.quality.faces import in_sunglasses, masked, whole

_INSIDE = np.ones((SIDE, SIDE), np.bool_)


@pytest.mark.parametrize(
    ("covered", "mask"),
    [
        (("nose", "mouth", "chin"), True),
        (("nose", "mouth", "chin", "cheek", "eye"), True),
        (("nose", "mouth"), False),
        (("mouth", "chin"), False),
        (("eye",), False),
        ((), False),
    ],
)
def test_a_mask_covers_nose_mouth_and_chin(covered: tuple[str, ...], mask: bool) -> None:
    visible = np.ones((MAP_SIDE, MAP_SIDE), np.float32)
    for region in covered:
        visible[weights(POLYGONS[region]) > 0] = 0
    assert is_masked(visible, _INSIDE) is mask


@pytest.mark.parametrize(("bottom", "mask"), [(SIDE, True), (180, True), (163, True), (145, False), (120, False)])
def test_what_the_picture_does_not_show_decides_nothing(bottom: int, mask: bool) -> None:
    """All covered, but the picture ends: below the mouth, in it, at the nose."""
    inside = _INSIDE.copy()
    inside[bottom:] = False
    assert is_masked(np.zeros((MAP_SIDE, MAP_SIDE), np.float32), inside) is mask


def test_a_mask_is_seen_on_a_real_face_and_sunglasses_are_none(assessor: QualityAssessor, crop: QualityCrop) -> None:
    for image, mask in ((crop.image, False), (masked(crop.image), True), (in_sunglasses(crop.image), False)):
        assert is_masked(assessor.assess_crop(whole(image)).visible, _INSIDE) is mask
