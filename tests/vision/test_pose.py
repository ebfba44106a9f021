"""The pose of projected head models with known pose, and of real faces."""

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


def _projected(pitch: float, yaw: float, roll: float, size: float = 2.0) -> Landmarks:
    """Return the landmarks of the head model from far away, with pitch applied first, then yaw, then roll."""
    p, y, r = np.radians([-pitch, -yaw, roll])
    pitch_matrix = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    yaw_matrix = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    roll_matrix = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = HEAD @ (roll_matrix @ yaw_matrix @ pitch_matrix).T * size + [300, 200, 0]
    return np.asarray(points[:, :2], np.float32)


@pytest.mark.parametrize(
    ("pitch", "yaw", "roll"), list(product((-30, -10, 0, 20, 30), (-45, -15, 0, 30, 45), (-90, -20, 0, 45, 179)))
)
def test_a_known_pose_is_recovered(pitch: float, yaw: float, roll: float) -> None:
    estimated = pose(_projected(pitch, yaw, roll), 0)
    assert (estimated.pitch, estimated.yaw, estimated.roll) == pytest.approx((pitch, yaw, roll), abs=_TOLERANCE)


def test_pitch_is_positive_up_yaw_to_the_viewers_right_and_roll_clockwise() -> None:
    """Positive pitch moves the nose up, positive yaw moves it right, positive roll lowers the right eye."""
    nose = _projected(0, 0, 0)[2]
    assert _projected(20, 0, 0)[2, 1] < nose[1]
    assert _projected(0, 20, 0)[2, 0] > nose[0]
    assert _projected(0, 0, 20)[1, 1] > _projected(0, 0, 20)[0, 1]


def test_a_mirrored_face_has_opposite_yaw_and_roll() -> None:
    landmarks = _projected(12, 25, -8) + np.random.default_rng(0).normal(0, 1, (5, 2)).astype(np.float32)
    mirrored = (landmarks * [-1, 1])[[1, 0, 2, 4, 3]].astype(np.float32)
    original, mirror = pose(landmarks, 0), pose(mirrored, 0)
    expected = (original.pitch, -original.yaw, -original.roll)
    assert (mirror.pitch, mirror.yaw, mirror.roll) == pytest.approx(expected, abs=0.5)


def test_the_pitch_offset_of_the_detector_is_subtracted() -> None:
    assert pose(_projected(12, 0, 0), 4.5).pitch == pytest.approx(7.5, abs=_TOLERANCE)


def test_pose_does_not_depend_on_size_and_position() -> None:
    near, far = pose(_projected(10, 20, 30, 9.0) + 50, 0), pose(_projected(10, 20, 30, 0.5), 0)
    assert (near.pitch, near.yaw, near.roll) == pytest.approx((far.pitch, far.yaw, far.roll), abs=_TOLERANCE)


def test_coinciding_landmarks_have_a_finite_pose() -> None:
    estimated = pose(np.full((5, 2), 7, dtype=np.float32), 0)
    assert np.isfinite([estimated.pitch, estimated.yaw, estimated.roll]).all()


@pytest.mark.shared
def test_people_looking_into_the_camera_have_small_angles(pipelines: Pipelines, shared: Path) -> None:
    """14 studio portraits; the head model uses none of them."""
    angles = []
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        small = jpeg(shrunk(decode(path.read_bytes()), 600))
        result = pipelines.analyzer.analyze(small, DetectOptions(attributes=True), StageTimer.after(30))
        attributes = result.faces[0].attributes
        assert attributes is not None
        angles.append((attributes.pose.pitch, attributes.pose.yaw, attributes.pose.roll))
    assert len(angles) == 14
    assert np.abs(angles).mean(axis=0).max() < 6
    assert np.abs(angles).max() < 15
