from pathlib import Path

import cv2
import numpy as np
import pytest

from app.engine import Pipelines
from app.tools.shadow.agreement import spearman
from app.vision.quality.assessment import QualityAssessor
from app.vision.quality.brightness import measure_brightness
from app.vision.quality.crop import MAP_SIDE, SIDE, QualityCrop
from app.vision.quality.visibility import visible_face
from tests.support.degradations import BRIGHTNESS_LADDERS, Ladder, exposure
from tests.support.pipelines import detect_all
from tests.vision.quality.occlusions import full_crop, with_mask

_ALL_VISIBLE = np.ones((MAP_SIDE, MAP_SIDE), np.float32)


def _brightness(crop: QualityCrop) -> int:
    return measure_brightness(crop.image[visible_face(crop, _ALL_VISIBLE)])


@pytest.mark.parametrize("ladder", BRIGHTNESS_LADDERS.values(), ids=BRIGHTNESS_LADDERS)
def test_brightness_follows_the_light(crop: QualityCrop, ladder: Ladder) -> None:
    points = [_brightness(full_crop(ladder.degrade(crop.image, step))) for step in ladder.steps]
    assert ladder.sign * spearman(ladder.steps, points) > 0.99, points
    assert max(points) - min(points) > 40


@pytest.mark.parametrize(("stops", "lowest", "highest"), [(-4, 0, 29), (0, 30, 70), (2, 71, 100)])
def test_exposure_decides_the_vendors_band(crop: QualityCrop, stops: float, lowest: int, highest: int) -> None:
    assert lowest <= _brightness(full_crop(exposure(crop.image, stops))) <= highest


@pytest.mark.parametrize(("value", "points"), [(0, 0), (255, 100)])
def test_black_is_0_and_white_is_100(value: int, points: int) -> None:
    assert _brightness(full_crop(np.full((SIDE, SIDE, 3), value, np.uint8))) == points


def test_a_lighter_grey_is_never_less_bright() -> None:
    images = [np.full((SIDE, SIDE, 3), grey, np.uint8) for grey in range(256)]
    points = [_brightness(full_crop(image)) for image in images]
    assert points == sorted(points)
    assert len(set(points)) > 50


def test_covered_parts_do_not_count(assessor: QualityAssessor, crop: QualityCrop) -> None:
    """A white mask in the dark makes the face no brighter."""
    dark = exposure(crop.image, -3)
    is_mask = with_mask(np.zeros_like(dark)) > 0
    masked = assessor.assess_crop(full_crop(np.where(is_mask, 230, dark).astype(np.uint8)))
    without_mask = _brightness(full_crop(dark))
    assert masked.quality.brightness == pytest.approx(without_mask, abs=12)
    assert _brightness(masked.crop) > without_mask + 20


def test_a_face_half_in_the_dark_is_less_bright(crop: QualityCrop) -> None:
    half_dark = crop.image.copy()
    half_dark[:, : SIDE // 2] = exposure(half_dark, -6)[:, : SIDE // 2]
    assert _brightness(full_crop(half_dark)) < _brightness(crop) - 20


def test_a_face_outside_the_image_has_brightness_0(crop: QualityCrop) -> None:
    assert _brightness(QualityCrop(crop.image, np.zeros((SIDE, SIDE), np.bool_))) == 0


@pytest.mark.shared
def test_studio_light_is_normal_for_every_skin_colour(
    assessor: QualityAssessor, pipelines: Pipelines, shared: Path
) -> None:
    """14 people in the same light."""
    points, cheek_lumas = [], []
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        image, (face, *_) = detect_all(pipelines.detection, path.read_bytes())
        assessment = assessor.assess(image, face.landmarks)
        points.append(assessment.quality.brightness)
        grey = cv2.cvtColor(assessment.crop.image, cv2.COLOR_BGR2GRAY)
        cheek_lumas.append(float(np.median(grey[108:140, 62:84])))
    assert len(points) == 14
    assert max(cheek_lumas) > 1.5 * min(cheek_lumas)
    assert all(30 <= value <= 70 for value in points), points
