"""Rotated faces are refused without rotation, and upright and leaning faces are not; scripted and real detectors."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Box, Face, Image
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.detect.base import Detector
from app.vision.rotation import DIAGONALS, QUARTER_TURNS, roll, upright_margin
from app.vision.search import is_upright, refine_landmarks, refine_upright_landmarks
from app.vision.selection import NoFaceError, RotatedFaceError
from tests.support.detectors import CountingDetector, detector_spec
from tests.support.images import astronaut, cast
from tests.support.pipelines import detect_target
from tests.support.rotation import rotate

_CROP = LandmarkCrop(side=96, face=60.0)
_SPEC = detector_spec("scripted", 0.5, 0.8, _CROP)
_UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32) / 100
_ROTATIONS = (*QUARTER_TURNS, *DIAGONALS)


def _face(left: float, top: float, side: float, confidence: float) -> Face:
    landmarks = (_UPRIGHT * side + [left, top]).astype(np.float32)
    return Face(Box(left, top, left + side, top + side), landmarks, confidence)


class _ConfidencePerRotation:
    """Finds a face on the crop in some rotations, with the confidence of the rotation."""

    def __init__(self, confidences: Mapping[float, float]) -> None:
        self._confidences = confidences
        self.calls = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        confidence = self._confidences.get(_ROTATIONS[self.calls])
        self.calls += 1
        return [] if confidence is None else [_face(18, 18, 60, confidence)]


@pytest.mark.parametrize(
    ("first", "on_crop", "upright", "detections"),
    [
        (0.85, {0: 0.91}, True, 1),  # confident on the crop: proven
        (0.85, {0: 0.7}, True, 4),  # clear after the quarter turns
        (0.85, {0: 0.7, 90: 0.74, 180: 0.74}, True, 4),
        (0.85, {0: 0.7, 90: 0.75, 180: 0.84}, True, 8),
        (0.6, {0: 0.85, 180: 0.86}, True, 8),  # not clearly more confident upside down
        (0.85, {}, True, 4),  # no rotation is better
        (0.85, {0: 0.8, 45: 0.93, 90: 0.88}, True, 8),  # leans by 45 degrees
        (0.85, {0: 0.8, -45: 0.93, -90: 0.88}, True, 8),
        (0.85, {0: 0.7, 180: 0.8, 45: 0.89, 135: 0.895}, True, 8),
        (0.85, {0: 0.85, 180: 0.93}, False, 8),
        (0.85, {180: 0.93}, False, 8),
        (0.85, {0: 0.8, 90: 0.89}, False, 8),
        (0.85, {0: 0.8, -90: 0.89}, False, 8),
        (0.85, {0: 0.8, 180: 0.83, 135: 0.89}, False, 8),
        (0.85, {0: 0.8, 180: 0.83, -135: 0.89}, False, 8),
    ],
)
def test_the_most_confident_rotation_decides_whether_a_face_is_upright(
    first: float, on_crop: Mapping[float, float], upright: bool, detections: int
) -> None:
    detector, image = _ConfidencePerRotation(on_crop), np.zeros((300, 300, 3), np.uint8)
    face = _face(50, 50, 150, first)
    if upright:
        refined = refine_upright_landmarks(detector, image, face, _SPEC)
        assert (refined.box, refined.confidence) == (face.box, first)
    else:
        with pytest.raises(RotatedFaceError, match="seems rotated"):
            refine_upright_landmarks(detector, image, face, _SPEC)
    assert detector.calls == detections


def test_a_confident_face_of_full_detection_needs_no_second_detection() -> None:
    detector, image = _ConfidencePerRotation({180: 0.99}), np.zeros((300, 300, 3), np.uint8)
    assert is_upright(detector, image, _face(50, 50, 150, 0.92), _SPEC)
    assert detector.calls == 0
    assert not is_upright(detector, image, _face(50, 50, 150, 0.85), _SPEC)


@pytest.mark.parametrize(("degrees", "upright"), [(0, True), (40, True), (70, True), (80, False), (180, False)])
def test_a_face_with_a_roll_above_72_degrees_is_not_upright(degrees: float, upright: bool) -> None:
    _, landmarks = rotate(np.zeros((100, 100, 3), np.uint8), (100 * _UPRIGHT).astype(np.float32), degrees)
    best = Face(Box(0, 0, 100, 100), landmarks, 0.9)
    assert upright_margin([_face(0, 0, 100, 0.7), best]) == pytest.approx(0.9 if upright else -0.2)


# --- real detectors ---

_TURNS = (90, 150, 180, 225, 270)
_LEANS = (-40, -20, 0, 20, 40)


def _is_compared(detector: Detector, image: Image, spec: DetectorSpec) -> bool:
    detected = _detected(detector, image, spec)
    return detected is not None and _is_upright(detector, image, detected, spec)


def _detected(detector: Detector, image: Image, spec: DetectorSpec) -> Face | None:
    try:
        return detect_target(detector, image, spec)
    except NoFaceError:
        return None


def _is_upright(detector: Detector, image: Image, face: Face, spec: DetectorSpec) -> bool:
    try:
        refine_upright_landmarks(detector, image, face, spec)
    except NoFaceError:
        return False
    return True


def _some_of_lfw(shared: Path) -> Iterator[Image]:
    for path in sorted((shared / "data/lfw").glob("*/*.jpg"))[5::300]:
        yield np.asarray(cv2.imread(str(path)), np.uint8)


def test_an_upright_face_is_proven_by_its_refinement_and_has_the_refined_landmarks(
    detector: Detector, spec: DetectorSpec
) -> None:
    image = astronaut()
    face, counting = detect_target(detector, image, spec), CountingDetector(detector)
    refined = refine_upright_landmarks(counting, image, face, spec)
    assert counting.calls == spec.landmark_crop.detections
    expected = refine_landmarks(detector, image, face, spec.landmark_crop)
    assert np.array_equal(refined.landmarks, expected.landmarks)


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
def test_all_upright_and_leaning_faces_are_compared(pack_detector: tuple[Detector, DetectorSpec], shared: Path) -> None:
    detector, spec = pack_detector
    for degrees in _LEANS:
        images = [rotate(image, None, degrees)[0] for image in _some_of_lfw(shared)]
        faces = [(image, face) for image in images if (face := _detected(detector, image, spec))]
        assert len(faces) >= len(images) - 1
        assert all(_is_upright(detector, image, face, spec) for image, face in faces)


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
@pytest.mark.parametrize("degrees", _TURNS)
def test_rotated_faces_are_not_compared(
    pack_detector: tuple[Detector, DetectorSpec], shared: Path, degrees: int
) -> None:
    detector, spec = pack_detector
    images = [rotate(image, None, degrees)[0] for image in _some_of_lfw(shared)]
    assert sum(_is_compared(detector, image, spec) for image in images) <= len(images) // 4


_REPORTED_BOXES: Sequence[tuple[int, int, int, int]] = ((60, 268, 109, 126), (1134, 269, 92, 126))
"""x, y, width and height of two faces of ``cast`` whose upside-down crops matched with a score of 86."""


def _upside_down_crop(x: int, y: int, width: int, height: int) -> Image:
    """Return the face in a square 1.8 times as large, grey beyond the image, upside down, 400 x 400 pixels."""
    margin = 200
    padded = np.pad(cast(), ((margin, margin), (margin, margin), (0, 0)), constant_values=128)
    side = round(1.8 * max(width, height))
    left, top = (round(margin + start + (size - side) / 2) for start, size in ((x, width), (y, height)))
    return np.ascontiguousarray(cv2.resize(padded[top : top + side, left : left + side], (400, 400))[::-1, ::-1])


@pytest.mark.shared
@pytest.mark.parametrize("box", _REPORTED_BOXES)
def test_the_reported_upside_down_faces_are_not_compared(
    pack_detector: tuple[Detector, DetectorSpec], box: tuple[int, int, int, int]
) -> None:
    detector, spec = pack_detector
    upside_down = _upside_down_crop(*box)
    assert not _is_compared(detector, upside_down, spec)
    assert _is_compared(detector, np.ascontiguousarray(upside_down[::-1, ::-1]), spec)
    assert abs(roll(detect_target(detector, upside_down, spec, rotate=True))) > 140
