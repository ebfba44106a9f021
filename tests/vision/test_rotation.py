from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from app.domain import Box, Face, Image, Landmarks
from app.packs.manifest import DetectorSpec
from app.vision.align import apply_inverse
from app.vision.detect.base import Detector
from app.vision.pose import HEAD
from app.vision.rotation import Rotation, has_upright_landmarks, roll
from app.vision.search import detect_full
from tests.support.detectors import CountingDetector
from tests.support.images import astronaut, cast
from tests.support.rotation import landmark_error

_QUARTER_TURNS = (90, 180, 270)
_ANGLES = (15, 30, 45, 60, 75, 100, 120, 135, 160, 200, 225, 250, 300, 315, 340)


@pytest.fixture
def counting(detector: Detector) -> CountingDetector:
    return CountingDetector(detector)


def _spin(image: Image, landmarks: Landmarks, degrees: float) -> tuple[Image, Landmarks]:
    """Rotate an image clockwise on a black square that holds every rotation of it."""
    height, width = image.shape[:2]
    side = int(np.ceil(np.hypot(width, height)))
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -degrees, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    spun = np.asarray(cv2.warpAffine(image, matrix, (side, side)), np.uint8)
    return spun, (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _quarter_turned(image: Image, degrees: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


# --- Rotation ---


@pytest.mark.parametrize("size", [(5, 8), (8, 5), (7, 7), (64, 99)])
@pytest.mark.parametrize("degrees", [-90, 0, 90, 180])
def test_a_quarter_turn_is_exact(size: tuple[int, int], degrees: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    rotated = Rotation.for_image(image, degrees).apply(image)
    assert rotated.flags.c_contiguous
    np.testing.assert_array_equal(rotated, _quarter_turned(image, degrees))


@pytest.mark.parametrize("degrees", [-90, 0, 90, 180, 45, -45, 135, 17.3])
def test_points_of_the_rotated_image_map_to_points_of_the_image(degrees: float) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    points = np.array([[20, 8], [50, 30], [5, 33]])
    image[points[:, 1], points[:, 0]] = np.eye(3, dtype=np.uint8) * 255
    rotation = Rotation.for_image(image, degrees)
    rotated = rotation.apply(image).astype(float)
    rows, columns = np.mgrid[: rotated.shape[0], : rotated.shape[1]]
    weights = rotated / rotated.sum(axis=(0, 1))
    centroids = np.stack([(weights * columns[..., None]).sum((0, 1)), (weights * rows[..., None]).sum((0, 1))], axis=1)
    np.testing.assert_allclose(apply_inverse(rotation.matrix, centroids), points, atol=0.15)


@pytest.mark.parametrize(
    ("degrees", "box"),
    [
        (0, Box(10, 20, 40, 70)),
        (90, Box(20, 59, 70, 89)),  # y of the image is 99 - x of the rotated image
        (-90, Box(129, 10, 179, 40)),
        (180, Box(159, 29, 189, 79)),
    ],
)
def test_a_box_keeps_its_edges_in_a_quarter_turn(degrees: float, box: Box) -> None:
    rotation = Rotation.for_image(np.zeros((100, 200, 3), np.uint8), degrees)
    face = rotation.unrotate_face(Face(Box(10, 20, 40, 70), np.zeros((5, 2), np.float32), 0.5))
    edges = (face.box.left, face.box.top, face.box.right, face.box.bottom)
    assert edges == pytest.approx((box.left, box.top, box.right, box.bottom), abs=1e-4)
    assert face.confidence == 0.5


@pytest.mark.parametrize("degrees", [45, 100, -135])
def test_a_box_keeps_its_centre_and_area_in_any_rotation(degrees: float) -> None:
    rotation = Rotation.for_image(np.zeros((100, 200, 3), np.uint8), degrees)
    box = rotation.unrotate_face(Face(Box(10, 20, 40, 70), np.zeros((5, 2), np.float32), 0.5)).box
    centre = apply_inverse(rotation.matrix, np.array([[25.0, 45.0]]))[0]
    assert ((box.left + box.right) / 2, (box.top + box.bottom) / 2) == pytest.approx(tuple(centre), abs=1e-3)
    assert box.area == pytest.approx(30 * 50, rel=1e-4)


@pytest.mark.parametrize("degrees", [-170, -90, -40, 0, 30, 90, 150])
def test_roll_is_the_clockwise_rotation_of_a_face(degrees: float) -> None:
    upright = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    _, rotated = _spin(np.zeros((100, 100, 3), np.uint8), upright, degrees)
    assert roll(Face(Box(0, 0, 100, 100), rotated, 0.9)) == pytest.approx(degrees, abs=0.1)


# --- with rotation ---


def test_a_confident_upright_face_needs_one_detection(counting: CountingDetector, spec: DetectorSpec) -> None:
    without_rotation = detect_full(counting, astronaut(), spec, rotate=False)
    assert counting.calls == 1
    with_rotation = detect_full(counting, astronaut(), spec, rotate=True)
    assert counting.calls == 2
    np.testing.assert_array_equal(with_rotation[0].landmarks, without_rotation[0].landmarks)


@pytest.mark.parametrize("degrees", _QUARTER_TURNS)
def test_a_quarter_turned_image_has_the_same_face(detector: Detector, spec: DetectorSpec, degrees: int) -> None:
    image = astronaut()
    upright = detect_full(detector, image, spec, rotate=True)[0]
    face = detect_full(detector, _quarter_turned(image, degrees), spec, rotate=True)[0]
    matrix = Rotation.for_image(image, degrees).matrix
    expected = upright.landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)
    assert face.box.area == pytest.approx(upright.box.area)
    assert face.confidence == upright.confidence


@pytest.mark.parametrize("degrees", _ANGLES)
def test_a_face_is_detected_at_any_angle(counting: CountingDetector, spec: DetectorSpec, degrees: int) -> None:
    image = astronaut()
    upright = detect_full(counting, image, spec, rotate=True)[0]
    spun, expected = _spin(image, upright.landmarks, degrees)
    faces = detect_full(counting, spun, spec, rotate=True)
    assert min(landmark_error(face.landmarks, expected) for face in faces) < 0.1
    assert counting.calls <= 10


@pytest.mark.parametrize("degrees", [0, *_QUARTER_TURNS])
def test_all_faces_of_a_rotated_image_are_detected(detector: Detector, spec: DetectorSpec, degrees: int) -> None:
    image = cast()
    upright = detect_full(detector, image, spec, rotate=False)
    faces = detect_full(detector, _quarter_turned(image, degrees), spec, rotate=True)
    assert len(upright) == len(faces) == 6
    matrix = Rotation.for_image(image, degrees).matrix
    for upright_face, face in zip(upright, faces, strict=True):
        expected = upright_face.landmarks @ matrix[:, :2].T + matrix[:, 2]
        np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)


@pytest.mark.parametrize("rotate", [False, True])
def test_no_face_is_detected_in_images_without_faces(
    counting: CountingDetector, spec: DetectorSpec, rotate: bool
) -> None:
    cat = np.ascontiguousarray(skimage.data.chelsea()[:, :, ::-1])  # type: ignore[no-untyped-call]
    for image, smaller_sizes in ((np.full((80, 120, 3), 127, np.uint8), 0), (cat, 2)):
        counting.calls = 0
        assert detect_full(counting, image, spec, rotate=rotate) == []
        assert counting.calls == (4 if rotate else 1) + smaller_sizes


# --- without rotation ---


@pytest.mark.parametrize("degrees", _QUARTER_TURNS)
def test_without_rotation_a_quarter_turned_face_is_not_detected(
    detector: Detector, spec: DetectorSpec, degrees: int
) -> None:
    image = _quarter_turned(astronaut(), degrees)
    assert detector.detect(image), "the detector itself detects it, with wrong landmarks"
    assert detect_full(detector, image, spec, rotate=False) == []


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_without_rotation_a_face_with_little_roll_is_detected(
    detector: Detector, spec: DetectorSpec, degrees: int
) -> None:
    spun, _ = _spin(astronaut(), np.zeros((5, 2), np.float32), degrees)
    assert detect_full(detector, spun, spec, rotate=False)


# --- uncertain rotations ---


class _ConfidencePerCorner:
    """Returns an upright face in quarter turns of an image; the corner of its white pixel selects the confidence."""

    def __init__(self, confidences: Sequence[float]) -> None:
        self._confidences = confidences

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        corners = (image[0, 0, 0], image[0, -1, 0], image[-1, -1, 0], image[-1, 0, 0])
        if 255 not in corners:
            return []  # a diagonal rotation
        landmarks = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
        return [Face(Box(20, 10, 80, 90), landmarks, self._confidences[corners.index(255)])]


@pytest.mark.parametrize(
    ("confidences", "degrees"),
    [
        ((0.88, 0.4, 0.95, 0.4), 0),  # certain without rotation: the search ends
        ((0.82, 0.4, 0.83, 0.4), 0),  # not confident enough to rotate
        ((0.6, 0.4, 0.61, 0.4), 0),
        ((0.82, 0.4, 0.92, 0.4), 180),  # confident, but more confident upside down
        ((0.5, 0.7, 0.5, 0.5), 90),
        ((0.5, 0.5, 0.5, 0.7), -90),
    ],
)
def test_an_image_is_rotated_only_if_a_rotation_is_clearly_more_confident(
    spec: DetectorSpec, confidences: Sequence[float], degrees: float
) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[0, 0] = 255
    uncertain = spec.model_copy(update={"selection_confidence": 0.8, "upright_confidence": 0.87})
    (face,) = detect_full(_ConfidencePerCorner(confidences), image, uncertain, rotate=True)
    assert (degrees + roll(face) + 180) % 360 == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize("yaw", [0, 45, 80, 90])
def test_a_profile_is_upright_and_landmarks_too_close_together_are_not(yaw: float) -> None:
    """The eyes of a profile are close together, but have the usual distance to the mouth."""
    angle = np.radians(yaw)
    x = HEAD @ [np.cos(angle), 0, -np.sin(angle)]
    landmarks = np.stack([x, HEAD[:, 1]], axis=1).astype(np.float32) * 2 + 100
    box = Box(40, 40, 160, 200)
    assert has_upright_landmarks(Face(box, landmarks, 0.9))
    contracted = (landmarks - landmarks.mean(axis=0)) * np.float32(0.4) + 100
    assert not has_upright_landmarks(Face(box, contracted, 0.9))


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
def test_sideways_portraits_are_detected_with_rotation_only(
    detector: Detector, spec: DetectorSpec, shared: Path
) -> None:
    detected = {False: 0, True: 0}
    for path in sorted((shared / "data/london").glob("*/neutral.jpg")):
        image = cv2.resize(np.asarray(cv2.imread(str(path)), np.uint8), None, fx=0.3, fy=0.3).astype(np.uint8)
        for degrees in _QUARTER_TURNS:
            for rotate in detected:
                faces = detect_full(detector, _quarter_turned(image, degrees), spec, rotate=rotate)
                detected[rotate] += bool(faces)
    assert detected[False] <= 3
    assert detected[True] == 14 * 3
