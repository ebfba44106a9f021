from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from app.domain import Box, Face, Image, Landmarks
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.pose import HEAD
from app.vision.rotation import Rotation, is_upright, roll
from app.vision.search import ConfidenceThresholds, detect_full
from tests.support.images import astronaut, cast

_QUARTERS = (90, 180, 270)
_ANGLES = (15, 30, 45, 60, 75, 100, 120, 135, 160, 200, 225, 250, 300, 315, 340)


class _Counted:
    """The real detector, whose detections are counted."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.calls = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.calls += 1
        return self._detector.detect(image, side)


@pytest.fixture(scope="module")
def real(store: Store, pack: Pack) -> Detector:
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return DETECTORS[pack.detector.family](session, pack.detector)


@pytest.fixture
def detector(real: Detector) -> _Counted:
    return _Counted(real)


@pytest.fixture(scope="module")
def sure(pack: Pack) -> float:
    return pack.detector.upright_confidence


def _thresholds(upright: float) -> ConfidenceThresholds:
    return ConfidenceThresholds(selection=0.8, upright=upright)


def _spin(image: Image, landmarks: Landmarks, degrees: float) -> tuple[Image, Landmarks]:
    """Rotation a picture clockwise on a black square that holds it in every turn."""
    height, width = image.shape[:2]
    side = int(np.ceil(np.hypot(width, height)))
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -degrees, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    spun = np.asarray(cv2.warpAffine(image, matrix, (side, side)), np.uint8)
    return spun, (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _off(face: Face, expected: Landmarks) -> float:
    """Mean distance of the landmarks, in distances of the eyes."""
    return float(np.hypot(*(face.landmarks - expected).T).mean() / np.hypot(*(expected[1] - expected[0])))


def _quarter(image: Image, degrees: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


# --- a turn ---


@pytest.mark.parametrize("size", [(5, 8), (8, 5), (7, 7), (64, 99)])
@pytest.mark.parametrize("degrees", [-90, 0, 90, 180])
def test_a_quarter_turn_is_exact(size: tuple[int, int], degrees: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    turned = Rotation.of(image, degrees).apply(image)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, _quarter(image, degrees))


@pytest.mark.parametrize("degrees", [-90, 0, 90, 180, 45, -45, 135, 17.3])
def test_what_is_seen_in_the_turned_picture_is_found_in_the_picture(degrees: float) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    spots = np.array([[20, 8], [50, 30], [5, 33]])
    image[spots[:, 1], spots[:, 0]] = np.eye(3, dtype=np.uint8) * 255
    turn = Rotation.of(image, degrees)
    turned = turn.apply(image).astype(float)
    rows, columns = np.mgrid[: turned.shape[0], : turned.shape[1]]
    weights = turned / turned.sum(axis=(0, 1))
    centroids = np.stack([(weights * columns[..., None]).sum((0, 1)), (weights * rows[..., None]).sum((0, 1))], axis=1)
    np.testing.assert_allclose(turn.unrotate_points(centroids), spots, atol=0.15)


@pytest.mark.parametrize(
    ("degrees", "box"),
    [
        (0, Box(10, 20, 40, 70)),
        (90, Box(20, 59, 70, 89)),  # y of the picture is 99 - x of the turned one
        (-90, Box(129, 10, 179, 40)),
        (180, Box(159, 29, 189, 79)),
    ],
)
def test_a_box_keeps_its_edges_in_a_quarter_turn(degrees: float, box: Box) -> None:
    turn = Rotation.of(np.zeros((100, 200, 3), np.uint8), degrees)
    face = turn.unrotate_face(Face(Box(10, 20, 40, 70), np.zeros((5, 2), np.float32), 0.5))
    edges = (face.box.left, face.box.top, face.box.right, face.box.bottom)
    assert edges == pytest.approx((box.left, box.top, box.right, box.bottom), abs=1e-4)
    assert face.confidence == 0.5


@pytest.mark.parametrize("degrees", [45, 100, -135])
def test_a_box_keeps_its_centre_and_area_in_any_turn(degrees: float) -> None:
    turn = Rotation.of(np.zeros((100, 200, 3), np.uint8), degrees)
    box = turn.unrotate_face(Face(Box(10, 20, 40, 70), np.zeros((5, 2), np.float32), 0.5)).box
    centre = turn.unrotate_points(np.array([[25.0, 45.0]]))[0]
    assert ((box.left + box.right) / 2, (box.top + box.bottom) / 2) == pytest.approx(tuple(centre), abs=1e-3)
    assert box.area == pytest.approx(30 * 50, rel=1e-4)


@pytest.mark.parametrize("degrees", [-170, -90, -40, 0, 30, 90, 150])
def test_roll_is_the_lean_of_a_face(degrees: float) -> None:
    upright = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    _, leaning = _spin(np.zeros((100, 100, 3), np.uint8), upright, degrees)
    assert roll(Face(Box(0, 0, 100, 100), leaning, 0.9)) == pytest.approx(degrees, abs=0.1)


# --- with the flag ---


def test_a_clear_upright_face_costs_one_detection_and_stays(detector: _Counted, sure: float) -> None:
    without = detect_full(detector, astronaut(), _thresholds(sure), rotate=False)
    assert detector.calls == 1
    with_flag = detect_full(detector, astronaut(), _thresholds(sure), rotate=True)
    assert detector.calls == 2
    np.testing.assert_array_equal(with_flag[0].landmarks, without[0].landmarks)


@pytest.mark.parametrize("degrees", _QUARTERS)
def test_a_quarter_turn_changes_nothing_about_the_face(detector: _Counted, sure: float, degrees: int) -> None:
    image = astronaut()
    (upright, *_), (face, *_) = (
        detect_full(detector, each, _thresholds(sure), rotate=True) for each in (image, _quarter(image, degrees))
    )
    turn = Rotation.of(image, degrees)
    expected = upright.landmarks @ turn.matrix[:, :2].T + turn.matrix[:, 2]
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)
    assert face.box.area == pytest.approx(upright.box.area)
    assert face.confidence == upright.confidence


@pytest.mark.parametrize("degrees", _ANGLES)
def test_a_face_is_found_at_any_angle(detector: _Counted, sure: float, degrees: int) -> None:
    image = astronaut()
    upright = detect_full(detector, image, _thresholds(sure), rotate=True)[0]
    spun, expected = _spin(image, upright.landmarks, degrees)
    found = detect_full(detector, spun, _thresholds(sure), rotate=True)
    assert min(_off(face, expected) for face in found) < 0.1
    assert detector.calls <= 10


@pytest.mark.parametrize("degrees", [0, *_QUARTERS])
def test_all_faces_of_a_turned_picture_are_found(detector: _Counted, sure: float, degrees: int) -> None:
    image = cast()
    upright = detect_full(detector, image, _thresholds(sure), rotate=False)
    found = detect_full(detector, _quarter(image, degrees), _thresholds(sure), rotate=True)
    assert len(upright) == len(found) == 6
    turn = Rotation.of(image, degrees)
    for one, other in zip(upright, found, strict=True):
        expected = one.landmarks @ turn.matrix[:, :2].T + turn.matrix[:, 2]
        np.testing.assert_allclose(other.landmarks, expected, atol=1e-3)


@pytest.mark.parametrize("rotate", [False, True])
def test_where_nobody_is_nobody_is_found(detector: _Counted, sure: float, rotate: bool) -> None:
    cat = np.ascontiguousarray(skimage.data.chelsea()[:, :, ::-1])  # type: ignore[no-untyped-call]
    for image in (np.full((80, 120, 3), 127, np.uint8), cat):
        detector.calls = 0
        assert detect_full(detector, image, _thresholds(sure), rotate=rotate) == []
        assert detector.calls == (4 if rotate else 1)


# --- without the flag ---


@pytest.mark.parametrize("degrees", _QUARTERS)
def test_a_face_that_is_not_upright_is_not_found(detector: _Counted, sure: float, degrees: int) -> None:
    image = _quarter(astronaut(), degrees)
    assert detector.detect(image), "the detector itself does find it, with landmarks of no use"
    assert detect_full(detector, image, _thresholds(sure), rotate=False) == []


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_face_that_leans_is_found(detector: _Counted, sure: float, degrees: int) -> None:
    spun, _ = _spin(astronaut(), np.zeros((5, 2), np.float32), degrees)
    assert detect_full(detector, spun, _thresholds(sure), rotate=False)


# --- in doubt ---


class _Marked:
    """Finds one upright face, in the turns of a picture that bring its white corner to where ``confidences`` says."""

    def __init__(self, confidences: Sequence[float]) -> None:
        self._confidences = confidences

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        corners = (image[0, 0, 0], image[0, -1, 0], image[-1, -1, 0], image[-1, 0, 0])
        if 255 not in corners:
            return []  # turned by half a quarter
        landmarks = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
        return [Face(Box(20, 10, 80, 90), landmarks, self._confidences[corners.index(255)])]


@pytest.mark.parametrize(
    ("confidences", "turn"),
    [
        ((0.88, 0.4, 0.95, 0.4), 0),  # sure at once: nobody looks for better
        ((0.82, 0.4, 0.83, 0.4), 0),  # as good: it stays
        ((0.6, 0.4, 0.61, 0.4), 0),
        ((0.82, 0.4, 0.92, 0.4), 180),  # clear, but upside down it was clearer
        ((0.5, 0.7, 0.5, 0.5), 90),
        ((0.5, 0.5, 0.5, 0.7), -90),
    ],
)
def test_a_picture_is_turned_on_good_evidence_only(confidences: Sequence[float], turn: float) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[0, 0] = 255
    (face,) = detect_full(_Marked(confidences), image, _thresholds(0.87), rotate=True)
    assert (turn + roll(face) + 180) % 360 == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize("yaw", [0, 45, 80, 90])
def test_a_profile_is_upright_and_a_flock_of_landmarks_is_not(yaw: float) -> None:
    """Of a profile the eyes are close together, but as far above the mouth as ever."""
    turn = np.radians(yaw)
    across = HEAD @ [np.cos(turn), 0, -np.sin(turn)]
    landmarks = np.stack([across, HEAD[:, 1]], axis=1).astype(np.float32) * 2 + 100
    box = Box(40, 40, 160, 200)
    assert is_upright(Face(box, landmarks, 0.9))
    flock = (landmarks - landmarks.mean(axis=0)) * np.float32(0.4) + 100
    assert not is_upright(Face(box, flock, 0.9))


@pytest.mark.shared
def test_hardly_a_sideways_portrait_is_found_without_the_flag_and_all_with_it(
    detector: _Counted, sure: float, shared: Path
) -> None:
    found = {False: 0, True: 0}
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        picture = cv2.resize(np.asarray(cv2.imread(str(path)), np.uint8), None, fx=0.3, fy=0.3).astype(np.uint8)
        for degrees in _QUARTERS:
            for rotate in found:
                found[rotate] += bool(
                    detect_full(detector, _quarter(picture, degrees), _thresholds(sure), rotate=rotate)
                )
    assert found[False] <= 2
    assert found[True] == 14 * 3
