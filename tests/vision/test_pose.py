"""The pose of heads whose pose is known, of mirrored ones and of real ones."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from app.domain import DetectOptions, Landmarks
from app.engine import Pipelines
from app.imaging.decode import decode
from app.ops.stage_timer import StageTimer
from app.vision.pose import HEAD, pose
from tests.support.images import jpeg, shrunk

_TOLERANCE = 0.01


def _seen(pitch: float, yaw: float, roll: float, size: float = 2.0) -> Landmarks:
    """The head model as a camera far away sees it: nodding first, then turned, then tilted."""
    p, y, r = np.radians([-pitch, -yaw, roll])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = HEAD @ (tilt @ turn @ nod).T * size + [300, 200, 0]
    return np.asarray(points[:, :2], np.float32)


@pytest.mark.parametrize(
    ("pitch", "yaw", "roll"), list(product((-30, -10, 0, 20, 30), (-45, -15, 0, 30, 45), (-90, -20, 0, 45, 179)))
)
def test_a_known_pose_is_recovered(pitch: float, yaw: float, roll: float) -> None:
    found = pose(_seen(pitch, yaw, roll), 0)
    assert (found.pitch, found.yaw, found.roll) == pytest.approx((pitch, yaw, roll), abs=_TOLERANCE)


def test_signs_are_those_of_the_viewer() -> None:
    """Looking up brings the nose up, looking to the viewer's right brings it right; clockwise lowers the right eye."""
    nose = _seen(0, 0, 0)[2]
    assert _seen(20, 0, 0)[2, 1] < nose[1]
    assert _seen(0, 20, 0)[2, 0] > nose[0]
    assert _seen(0, 0, 20)[1, 1] > _seen(0, 0, 20)[0, 1]


def test_a_mirrored_face_looks_the_other_way() -> None:
    landmarks = _seen(12, 25, -8) + np.random.default_rng(0).normal(0, 1, (5, 2)).astype(np.float32)
    mirrored = (landmarks * [-1, 1])[[1, 0, 2, 4, 3]].astype(np.float32)
    there, back = pose(landmarks, 0), pose(mirrored, 0)
    assert (back.pitch, back.yaw, back.roll) == pytest.approx((there.pitch, -there.yaw, -there.roll), abs=0.5)


def test_pitch_is_told_from_the_level_of_the_detector() -> None:
    assert pose(_seen(12, 0, 0), 4.5).pitch == pytest.approx(7.5, abs=_TOLERANCE)


def test_size_and_place_do_not_matter() -> None:
    near, far = pose(_seen(10, 20, 30, 9.0) + 50, 0), pose(_seen(10, 20, 30, 0.5), 0)
    assert (near.pitch, near.yaw, near.roll) == pytest.approx((far.pitch, far.yaw, far.roll), abs=_TOLERANCE)


def test_landmarks_in_one_point_have_a_pose_all_the_same() -> None:
    found = pose(np.full((5, 2), 7, dtype=np.float32), 0)
    assert np.isfinite([found.pitch, found.yaw, found.roll]).all()


@pytest.mark.shared
def test_people_who_look_into_the_camera_have_small_angles(pipelines: Pipelines, shared: Path) -> None:
    """14 studio portraits; the head model was not made of them."""
    angles = []
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        small = jpeg(shrunk(decode(path.read_bytes()), 600))
        sight = pipelines.analyzer.analyze(small, DetectOptions(attributes=True), StageTimer.after(30))
        attributes = sight.faces[0].attributes
        assert attributes is not None
        angles.append((attributes.pose.pitch, attributes.pose.yaw, attributes.pose.roll))
    assert len(angles) == 14
    assert np.abs(angles).mean(axis=0).max() < 6
    assert np.abs(angles).max() < 15
