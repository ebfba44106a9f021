from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.engine import Pipelines
from app.vision.quality.assess import QualityAssessor
from app.vision.quality.brightness import brightness
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.regions import MAP_SIDE
from tests.support.degradations import BRIGHTNESS_LADDERS, Ladder, exposure, spearman
from tests.support.pipelines import detect_all
from tests.vision.quality.faces import masked, whole

_ALL = np.ones((MAP_SIDE, MAP_SIDE), np.float32)


@pytest.mark.parametrize("ladder", BRIGHTNESS_LADDERS.values(), ids=BRIGHTNESS_LADDERS)
def test_it_follows_the_light(crop: QualityCrop, ladder: Ladder) -> None:
    points = [brightness(whole(ladder.degrade(crop.image, step)), _ALL) for step in ladder.steps]
    assert ladder.sign * spearman(ladder.steps, points) > 0.99, points
    assert max(points) - min(points) > 40


@pytest.mark.parametrize(("stops", "lowest", "highest"), [(-4, 0, 29), (0, 30, 70), (2, 71, 100)])
def test_the_bands_are_those_of_the_vendor(crop: QualityCrop, stops: float, lowest: int, highest: int) -> None:
    assert lowest <= brightness(whole(exposure(crop.image, stops)), _ALL) <= highest


@pytest.mark.parametrize(("value", "points"), [(0, 0), (255, 100)])
def test_black_is_0_and_white_is_100(value: int, points: int) -> None:
    assert brightness(whole(np.full((SIDE, SIDE, 3), value, np.uint8)), _ALL) == points


def test_it_never_falls_where_a_grey_gets_lighter() -> None:
    points = [brightness(whole(np.full((SIDE, SIDE, 3), grey, np.uint8)), _ALL) for grey in range(256)]
    assert points == sorted(points)
    assert len(set(points)) > 50


def test_what_covers_the_face_does_not_count(assessor: QualityAssessor, crop: QualityCrop) -> None:
    """A white mask in the dark makes the face no brighter."""
    dark = exposure(crop.image, -3)
    white = masked(np.zeros_like(dark)) > 0
    assessed = assessor.assess_crop(whole(np.where(white, 230, dark).astype(np.uint8)))
    plain = brightness(whole(dark), _ALL)
    assert assessed.quality.brightness == pytest.approx(plain, abs=12)
    assert brightness(assessed.crop, _ALL) > plain + 20


def test_a_face_half_in_the_dark_is_dimmer(crop: QualityCrop) -> None:
    half = crop.image.copy()
    half[:, : SIDE // 2] = exposure(half, -6)[:, : SIDE // 2]
    assert brightness(whole(half), _ALL) < brightness(crop, _ALL) - 20


def test_a_face_outside_the_picture_has_none(crop: QualityCrop) -> None:
    assert brightness(QualityCrop(crop.image, np.zeros((SIDE, SIDE), np.bool_)), _ALL) == 0


@pytest.mark.shared
def test_studio_light_is_normal_whatever_the_skin(
    assessor: QualityAssessor, pipelines: Pipelines, shared: Path
) -> None:
    """14 people, one in the same light as the other."""
    points, lumas = [], []
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        image, (face, *_) = detect_all(pipelines.detection, path.read_bytes())
        found = assessor.assess(image, face.landmarks)
        points.append(found.quality.brightness)
        lumas.append(float(np.median(cv2.cvtColor(found.crop.image, cv2.COLOR_BGR2GRAY)[108:140, 62:84])))
    assert len(points) == 14
    assert max(lumas) > 1.5 * min(lumas)
    assert all(30 <= value <= 70 for value in points), points
