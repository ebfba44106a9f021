from __future__ import annotations

import cv2
import numpy as np
import pytest

from app.domain import Face
from app.vision.quality.crop import EYE_DISTANCE, SIDE, TEMPLATE, QualityCrop, quality_crop
from tests.support.images import astronaut


def test_the_eyes_of_the_template_are_60_pixels_apart_and_the_face_is_in_the_middle() -> None:
    assert np.hypot(*(TEMPLATE[1] - TEMPLATE[0])) == pytest.approx(EYE_DISTANCE, abs=0.1)
    assert TEMPLATE[:2, 0].mean() == pytest.approx(SIDE / 2, abs=0.2)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.5])
def test_the_crop_does_not_depend_on_the_size_of_the_photo(crop: QualityCrop, found: Face, scale: float) -> None:
    larger = np.asarray(cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    other = quality_crop(larger, ((found.landmarks + 0.5) * scale - 0.5).astype(np.float32))
    difference = np.abs(other.image.astype(int) - crop.image)[other.inside & crop.inside]
    assert difference.mean() < 6
    assert (other.inside == crop.inside).mean() > 0.97


def test_what_the_picture_does_not_have_is_told(found: Face) -> None:
    """Cut at the nose, its lower half is gone; her head leans a little."""
    cut = np.ascontiguousarray(astronaut()[: int(found.landmarks[2, 1])])
    image, inside, _ = quality_crop(cut, found.landmarks)
    nose = int(TEMPLATE[2, 1])
    assert inside[60 : nose - 14, 60:160].all()
    assert not inside[nose + 14 :].any()
    assert (image[nose + 14 :] == 0).all()
