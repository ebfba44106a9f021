import cv2
import numpy as np
import pytest

from app.domain import Face
from app.vision.quality.crop import (
    EYE_DISTANCE,
    FACE_OUTLINE,
    REGIONS,
    SIDE,
    TEMPLATE,
    QualityCrop,
    cell_shares,
    quality_crop,
)
from tests.support.images import astronaut


def test_the_template_has_eyes_60_pixels_apart_and_a_centred_face() -> None:
    assert np.hypot(*(TEMPLATE[1] - TEMPLATE[0])) == pytest.approx(EYE_DISTANCE, abs=0.1)
    assert TEMPLATE[:2, 0].mean() == pytest.approx(SIDE / 2, abs=0.2)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.5])
def test_the_crop_does_not_depend_on_the_size_of_the_image(crop: QualityCrop, face: Face, scale: float) -> None:
    resized = np.asarray(cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    resized_crop = quality_crop(resized, ((face.landmarks + 0.5) * scale - 0.5).astype(np.float32))
    difference = np.abs(resized_crop.image.astype(int) - crop.image)[resized_crop.inside & crop.inside]
    assert difference.mean() < 6
    assert (resized_crop.inside == crop.inside).mean() > 0.97


def test_pixels_outside_the_image_are_black_and_marked(face: Face) -> None:
    """The image ends at the nose; the head is slightly tilted."""
    upper_half = np.ascontiguousarray(astronaut()[: int(face.landmarks[2, 1])])
    image, inside, _ = quality_crop(upper_half, face.landmarks)
    nose = int(TEMPLATE[2, 1])
    assert inside[60 : nose - 14, 60:160].all()
    assert not inside[nose + 14 :].any()
    assert (image[nose + 14 :] == 0).all()


def test_the_regions_lie_at_the_landmarks_and_inside_the_face() -> None:
    centres = {region: np.concatenate(polygons).mean(axis=0) for region, polygons in REGIONS.items()}
    eyes, nose, mouth = TEMPLATE[:2].mean(axis=0), TEMPLATE[2], TEMPLATE[3:].mean(axis=0)
    for region, point in (("eye", eyes), ("nose", nose), ("mouth", mouth)):
        assert np.hypot(*(centres[region] - point)) < 15, region
    assert centres["eyebrow"][1] < eyes[1] < nose[1] < mouth[1] < centres["chin"][1]
    face = cell_shares([FACE_OUTLINE])
    outside = {region: float(cell_shares(polygons)[face == 0].sum()) for region, polygons in REGIONS.items()}
    assert max(outside.values()) < 3, outside
    assert face.sum() < 0.6 * (SIDE / 4) ** 2
