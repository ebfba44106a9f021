from itertools import pairwise

import numpy as np
import pytest

from app.tools.shadow.agreement import spearman
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.sharpness import blur_features, estimate_blur, measure_sharpness
from tests.support.degradations import HARMLESS_LADDERS, SHARPNESS_LADDERS, Ladder, focus, jpeg
from tests.vision.quality.occlusions import full_crop, with_mask

_BLURS = {name: ladder for name, ladder in SHARPNESS_LADDERS.items() if "JPEG" not in name}


@pytest.mark.parametrize("ladder", _BLURS.values(), ids=_BLURS)
def test_every_kind_of_blur_lowers_sharpness(crop: QualityCrop, ladder: Ladder) -> None:
    points = [measure_sharpness(full_crop(ladder.degrade(crop.image, step))) for step in ladder.steps]
    assert ladder.sign * spearman(ladder.steps, points) > 0.95, points
    assert max(points) - min(points) > 20


def test_jpeg_blocks_do_not_count_as_detail(crop: QualityCrop) -> None:
    points = [measure_sharpness(full_crop(jpeg(crop.image, quality))) for quality in (95, 40, 10, 5)]
    assert max(points) <= points[0] + 2, points
    assert points[-1] < points[0], points


@pytest.mark.parametrize("ladder", HARMLESS_LADDERS.values(), ids=HARMLESS_LADDERS)
def test_light_and_noise_do_not_change_sharpness(crop: QualityCrop, ladder: Ladder) -> None:
    for image in (crop.image, focus(crop.image, 3)):
        points = [measure_sharpness(full_crop(ladder.degrade(image, step))) for step in ladder.steps]
        assert max(points) - min(points) <= 10, points


@pytest.mark.parametrize("sigma", [1.0, 2.5, 4.0, 6.0])
def test_the_estimated_blur_is_accurate_within_a_factor_of_one_and_a_half(crop: QualityCrop, sigma: float) -> None:
    """The unchanged crop is enlarged by a third, so it has some blur, too."""
    features, blurred_features = blur_features(crop), blur_features(full_crop(focus(crop.image, sigma)))
    assert features is not None
    assert blurred_features is not None
    expected = np.hypot(sigma, estimate_blur(features))
    assert expected / 1.5 < estimate_blur(blurred_features) < expected * 1.5


def test_blur_decides_the_vendors_band(crop: QualityCrop) -> None:
    points = [measure_sharpness(full_crop(focus(crop.image, sigma))) for sigma in (0, 2.5, 5, 8)]
    assert points[0] >= 80
    assert all(before > after for before, after in pairwise(points))
    assert points[2] < 40


def test_a_plain_mask_does_not_make_a_face_blurry(crop: QualityCrop) -> None:
    assert abs(measure_sharpness(full_crop(with_mask(crop.image))) - measure_sharpness(crop)) <= 20


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_face_without_contrast_has_sharpness_0(grey: int) -> None:
    assert measure_sharpness(full_crop(np.full((SIDE, SIDE, 3), grey, np.uint8))) == 0


def test_a_face_outside_the_image_has_sharpness_0(crop: QualityCrop) -> None:
    assert measure_sharpness(QualityCrop(crop.image, np.zeros((SIDE, SIDE), np.bool_))) == 0


def test_the_edge_of_the_image_does_not_count_as_detail(crop: QualityCrop) -> None:
    """A blurred face that is cut off stays blurred."""
    inside = np.ones((SIDE, SIDE), np.bool_)
    inside[:, :90] = False
    image = focus(crop.image, 5)
    cut_off = QualityCrop(image * inside[..., None].astype(np.uint8), inside)
    assert measure_sharpness(cut_off) == pytest.approx(measure_sharpness(full_crop(image)), abs=15)
