from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.sharpness import blur, features, sharpness
from tests.support.degradations import HARMLESS_LADDERS, SHARPNESS_LADDERS, Ladder, focus, jpeg, spearman
from tests.vision.quality.faces import masked, whole

_BLURS = {name: ladder for name, ladder in SHARPNESS_LADDERS.items() if "JPEG" not in name}


@pytest.mark.parametrize("ladder", _BLURS.values(), ids=_BLURS)
def test_every_blur_lowers_it(crop: QualityCrop, ladder: Ladder) -> None:
    points = [sharpness(whole(ladder.degrade(crop.image, step))) for step in ladder.steps]
    assert ladder.sign * spearman(ladder.steps, points) > 0.95, points
    assert max(points) - min(points) > 20


def test_blocks_of_strong_compression_are_no_detail(crop: QualityCrop) -> None:
    points = [sharpness(whole(jpeg(crop.image, quality))) for quality in (95, 40, 10, 5)]
    assert max(points) <= points[0] + 2, points
    assert points[-1] < points[0], points


@pytest.mark.parametrize("ladder", HARMLESS_LADDERS.values(), ids=HARMLESS_LADDERS)
def test_light_and_noise_are_neither_blur_nor_detail(crop: QualityCrop, ladder: Ladder) -> None:
    for image in (crop.image, focus(crop.image, 3)):
        points = [sharpness(whole(ladder.degrade(image, step))) for step in ladder.steps]
        assert max(points) - min(points) <= 10, points


@pytest.mark.parametrize("sigma", [1.0, 2.5, 4.0, 6.0])
def test_the_blur_is_told_in_pixels_within_a_factor_of_one_and_a_half(crop: QualityCrop, sigma: float) -> None:
    """The crop, enlarged by a third, has a blur of its own besides."""
    own, seen = features(crop), features(whole(focus(crop.image, sigma)))
    assert own is not None
    assert seen is not None
    expected = np.hypot(sigma, blur(own))
    assert expected / 1.5 < blur(seen) < expected * 1.5


def test_the_bands_are_those_of_the_vendor(crop: QualityCrop) -> None:
    levels = [sharpness(whole(focus(crop.image, sigma))) for sigma in (0, 2.5, 5, 8)]
    assert levels[0] >= 80
    assert all(before > after for before, after in pairwise(levels))
    assert levels[2] < 40


def test_a_mask_without_detail_does_not_make_a_face_blurry(crop: QualityCrop) -> None:
    assert abs(sharpness(whole(masked(crop.image))) - sharpness(crop)) <= 20


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_face_without_contrast_has_none(grey: int) -> None:
    assert sharpness(whole(np.full((SIDE, SIDE, 3), grey, np.uint8))) == 0


def test_a_face_outside_the_picture_has_none(crop: QualityCrop) -> None:
    assert sharpness(QualityCrop(crop.image, np.zeros((SIDE, SIDE), np.bool_))) == 0


def test_the_edge_of_the_picture_is_no_detail(crop: QualityCrop) -> None:
    """A blurred face that is cut off stays blurred."""
    inside = np.ones((SIDE, SIDE), np.bool_)
    inside[:, :90] = False
    image = focus(crop.image, 5)
    cut = QualityCrop(image * inside[..., None].astype(np.uint8), inside)
    assert sharpness(cut) == pytest.approx(sharpness(whole(image)), abs=15)
