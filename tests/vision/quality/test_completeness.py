from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from app.vision.quality.completeness import completeness
from app.vision.quality.crop import SIDE, TEMPLATE
from app.vision.quality.regions import FACE, MAP_SIDE, POLYGONS, weights

_ALL = np.ones((MAP_SIDE, MAP_SIDE), np.float32)


def test_all_of_a_visible_face_and_none_of_a_covered_one_is_visible() -> None:
    assert set(asdict(completeness(_ALL)).values()) == {100}
    assert set(asdict(completeness(_ALL * 0)).values()) == {0}


@pytest.mark.parametrize("name", POLYGONS)
def test_a_covered_region_harms_no_other(name: str) -> None:
    visible = _ALL * (weights(POLYGONS[name]) == 0)
    found = asdict(completeness(visible))
    assert found.pop(name) == 0
    assert min(found.values()) > 70


def test_one_eye_is_half_of_both() -> None:
    visible = _ALL.copy()
    visible[:, : MAP_SIDE // 2] = 0
    found = completeness(visible)
    assert (found.eye, found.eyebrow, found.cheek) == pytest.approx((50, 50, 50), abs=1)


@pytest.mark.parametrize(
    ("yaw", "eye", "nose"), [(0, 50, 50), (39, 50, 50), (-39, 50, 50), (50, 0, 50), (-50, 100, 50)]
)
def test_of_a_face_that_looks_far_aside_the_near_side_counts(yaw: float, eye: int, nose: int) -> None:
    """Something covers the viewer's left; to the right looks who shows the left side of the face."""
    visible = _ALL.copy()
    visible[:, : MAP_SIDE // 2] = 0
    found = completeness(visible, yaw)
    assert (found.eye, found.eyebrow, found.cheek, found.nose) == pytest.approx((eye, eye, eye, nose), abs=2)


def test_a_cell_counts_as_visible_from_more_than_half_a_probability() -> None:
    assert completeness(_ALL * np.float32(0.51)).mouth == 100
    assert completeness(_ALL * np.float32(0.49)).mouth == 0


def test_the_regions_lie_where_the_landmarks_are() -> None:
    centres = {name: np.concatenate(polygons).mean(axis=0) for name, polygons in POLYGONS.items()}
    eyes, nose, mouth = TEMPLATE[:2].mean(axis=0), TEMPLATE[2], TEMPLATE[3:].mean(axis=0)
    for name, point in (("eye", eyes), ("nose", nose), ("mouth", mouth)):
        assert np.hypot(*(centres[name] - point)) < 15, name
    assert centres["eyebrow"][1] < eyes[1] < nose[1] < mouth[1] < centres["chin"][1]
    face = weights([FACE])
    inside = {name: float(weights(polygons)[face == 0].sum()) for name, polygons in POLYGONS.items()}
    assert max(inside.values()) < 3, inside
    assert face.sum() < 0.6 * (SIDE / 4) ** 2
