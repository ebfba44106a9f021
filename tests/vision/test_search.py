"""Coarse detection, full detection, and refinement of landmarks; with scripted and with real detectors."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Box, Face, Image, MatchingStrategy
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.detect.base import Detector
from app.vision.rotation import roll
from app.vision.search import (
    COARSE_SIDES,
    ROTATION_SIDES,
    detect_coarse,
    detect_full,
    refine_landmarks,
)
from app.vision.selection import NoFaceError, select_target
from tests.support.detectors import detector_spec
from tests.support.images import astronaut, cast
from tests.support.pipelines import detect_target
from tests.support.rotation import MAX_LANDMARK_ERROR, landmark_error, rotate

_ALL_ROTATIONS = 8
_LANDMARK_CROP = LandmarkCrop(side=128, face=64.0)
_SPEC = detector_spec("scripted", 0.5, 0.8, _LANDMARK_CROP)
_UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32) / 100


def _face(left: float, top: float, side: float, confidence: float = 0.95) -> Face:
    landmarks = (_UPRIGHT * side + [left, top]).astype(np.float32)
    return Face(Box(left, top, left + side, top + side), landmarks, confidence)


class _ScriptedDetector:
    """Returns given faces by input side, None being full detection, and records the sides."""

    def __init__(self, faces: dict[int | None, list[Face]]) -> None:
        self._faces = faces
        self.sides: list[int | None] = []

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.sides.append(side)
        return self._faces.get(side, [])


def _search(
    faces: dict[int | None, list[Face]],
    *,
    strategy: MatchingStrategy = MatchingStrategy.LARGEST,
    rotate: bool = False,
) -> tuple[Face, list[int | None]]:
    """Return the target face and the input sides of the detections."""
    detector = _ScriptedDetector(faces)
    image = np.zeros((640, 640, 3), np.uint8)
    return detect_target(detector, image, _SPEC, strategy=strategy, rotate=rotate), detector.sides


def test_a_large_confident_face_needs_one_coarse_detection() -> None:
    portrait = _face(100, 100, 300)
    assert _search({96: [portrait]}) == (portrait, [96])


def test_a_face_too_small_for_one_scale_is_detected_at_the_next() -> None:
    small = _face(100, 100, 120)  # 18 pixels of 96, 30 of 160, 60 of 320
    assert _search({96: [small], 160: [small], 320: [small]}) == (small, [96, 160, 320])


def test_a_small_face_needs_full_detection() -> None:
    small = _face(100, 100, 40)
    assert _search({96: [], 160: [], 320: [small], None: [small]}) == (small, [96, 160, 320, None])


def test_a_face_of_low_confidence_needs_full_detection() -> None:
    coarse, full = _face(100, 100, 300, 0.7), _face(102, 100, 300, 0.75)
    assert _search({96: [coarse], 160: [coarse], 320: [coarse], None: [full]}) == (full, [96, 160, 320, None])


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_two_faces_of_comparable_size_need_full_detection(confidence: float) -> None:
    face, rival = _face(20, 100, 250), _face(320, 100, 200, confidence)
    larger_rival = _face(320, 90, 260, 0.95)
    assert _search({96: [face, rival], None: [face, larger_rival]}) == (larger_rival, [96, None])


def test_a_much_smaller_face_does_not_need_full_detection() -> None:
    face, neighbour = _face(20, 100, 250), _face(320, 100, 170)
    assert _search({96: [neighbour, face]}) == (face, [96])


def test_the_most_confident_face_needs_full_detection() -> None:
    large, small = _face(20, 20, 300), _face(400, 400, 50, 0.99)
    faces: dict[int | None, list[Face]] = {96: [large], None: [small, large]}
    assert _search(faces, strategy=MatchingStrategy.MOST_CONFIDENT) == (small, [None])


def test_with_rotation_all_rotations_are_detected_coarsely_before_full_detection() -> None:
    _, sides = _search({None: [_face(100, 100, 300)]}, rotate=True)
    assert sides == [*ROTATION_SIDES * _ALL_ROTATIONS, None]


class _ConfidencePerRotation(_ScriptedDetector):
    """Returns a large face with the confidence of each rotation in turn; a bit less confident at 96 pixels."""

    def __init__(self, *confidences: float) -> None:
        super().__init__({})
        self._confidence, self._confidences = confidences[0], confidences

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        super().detect(image, side)
        if side == ROTATION_SIDES[0]:
            self._confidence = self._confidences[self.sides.count(side) - 1]
        elif self.sides.count(ROTATION_SIDES[0]) == _ALL_ROTATIONS:
            self._confidence = self._confidences[0]
        confidence = {COARSE_SIDES[0]: 0.97, ROTATION_SIDES[0]: 1.0}.get(side or 0, 0.0) * self._confidence
        return [_face(100, 100, 320, confidence)] if confidence else []


@pytest.mark.parametrize(
    ("confidences", "degrees", "rotations"),
    [
        ((0.92,), 0, 1),  # certain without rotation
        ((0.85, 0, 0.7, 0.86, 0, 0, 0, 0), 0, 8),  # confident, and no rotation is much more confident
        ((0.85, 0, 0, 0.88, 0, 0, 0, 0), None, 8),  # confident, but more confident upside down: needs full detection
        ((0.85, 0, 0, 0.93), 180, 4),
        ((0.85, 0.7, 0.7, 0.86, 0.93), -45, 5),  # some faces between two quarter turns look upright, too
        ((0.7, 0.93), -90, 2),
        ((0.7, 0.85, 0, 0.88, 0, 0, 0, 0), None, 8),
        ((0, 0.89, 0, 0, 0, 0, 0, 0), None, 8),
    ],
)
def test_the_confidence_of_each_rotation_decides_the_rotation(
    confidences: tuple[float, ...], degrees: float | None, rotations: int
) -> None:
    detector = _ConfidencePerRotation(*confidences)
    face = detect_coarse(detector, np.zeros((640, 640, 3), np.uint8), _SPEC, rotate=True)
    if degrees is None:
        assert face is None
    else:
        assert face is not None
        assert face.confidence == pytest.approx(0.97 * confidences[rotations - 1 if rotations < _ALL_ROTATIONS else 0])
        assert (degrees + roll(face) + 180) % 360 == pytest.approx(180, abs=0.1)
    assert detector.sides.count(ROTATION_SIDES[0]) == rotations


def test_a_certain_rotation_without_a_face_at_the_coarse_sides_needs_full_detection() -> None:
    faces: dict[int | None, list[Face]] = {128: [_face(100, 100, 320, 0.95)], None: [_face(90, 90, 320)]}
    assert _search(faces, rotate=True) == (faces[None][0], [128, 96, 160, 320, None])


@pytest.mark.parametrize("side", [70, 128])
def test_an_image_too_small_for_the_search_of_the_rotation_needs_full_detection(side: int) -> None:
    detector = _ScriptedDetector({None: [_face(10, 10, 50)]})
    detect_target(detector, np.zeros((side, side, 3), np.uint8), _SPEC, rotate=True)
    assert detector.sides == [None]


def test_an_image_smaller_than_the_coarse_sides_needs_only_full_detection() -> None:
    face = _face(10, 10, 70)
    detector = _ScriptedDetector({None: [face]})
    target = detect_target(detector, np.zeros((90, 96, 3), np.uint8), _SPEC, rotate=False)
    assert (target.box, detector.sides) == (face.box, [None])


def test_an_image_without_a_face_is_an_error() -> None:
    with pytest.raises(NoFaceError):
        _search({})


# --- real detectors ---


def _detect_target(detector: Detector, image: Image, spec: DetectorSpec) -> Face:
    return detect_target(detector, image, spec, rotate=False)


def _largest_of_full_detection(detector: Detector, image: Image, spec: DetectorSpec) -> Face:
    faces = detect_full(detector, image, spec, rotate=False)
    return select_target(faces, image, MatchingStrategy.LARGEST, spec.selection_confidence)


@pytest.mark.parametrize("scale", [0.5, 1, 2, 4])
@pytest.mark.parametrize("load_image", [astronaut, cast])
def test_coarse_to_fine_detection_selects_the_face_of_full_detection(
    detector: Detector, spec: DetectorSpec, load_image: Callable[[], Image], scale: float
) -> None:
    image = np.asarray(cv2.resize(load_image(), None, fx=scale, fy=scale), np.uint8)
    target = _detect_target(detector, image, spec)
    assert target.box.iou(_largest_of_full_detection(detector, image, spec).box) > 0.5


@pytest.mark.parametrize("largest", [0, 1, 2, 3])
def test_the_largest_of_four_faces_is_selected_at_every_position(
    detector: Detector, spec: DetectorSpec, largest: int
) -> None:
    head = astronaut()[0:250, 100:350]
    canvas = np.full((800, 800, 3), 120, np.uint8)
    for position in range(4):
        side = 380 if position == largest else 300
        top, left = 400 * (position // 2), 400 * (position % 2)
        canvas[top : top + side, left : left + side] = cv2.resize(head, (side, side))
    box = _detect_target(detector, canvas, spec).box
    assert (box.left + box.right) / 2 // 400 + 2 * ((box.top + box.bottom) / 2 // 400) == largest


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
def test_coarse_to_fine_detection_agrees_with_full_detection_on_lfw(
    detector: Detector, spec: DetectorSpec, shared: Path
) -> None:
    paths = sorted((shared / "data/lfw").glob("*/*.jpg"))[::40]
    assert len(paths) > 100
    for path in paths:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        target = _detect_target(detector, image, spec)
        assert target.box.iou(_largest_of_full_detection(detector, image, spec).box) > 0.4


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
@pytest.mark.parametrize(("degrees", "max_errors"), [(0, 0), (45, 2), (180, 0)])
def test_rotated_faces_get_upright_landmarks(
    pack_detector: tuple[Detector, DetectorSpec], shared: Path, degrees: int, max_errors: int
) -> None:
    detector, spec = pack_detector
    errors = 0
    for path in sorted((shared / "data/lfw").glob("*/*.jpg"))[5::100]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        upright = _detect_target(detector, image, spec)
        rotated, expected = rotate(image, upright.landmarks, degrees)
        face = detect_target(detector, rotated, spec, rotate=True)
        errors += landmark_error(face.landmarks, expected) > MAX_LANDMARK_ERROR
    assert errors <= max_errors


# --- landmarks ---


def _refined(detector: Detector, image: Image, spec: DetectorSpec) -> Face:
    return refine_landmarks(detector, image, _detect_target(detector, image, spec), _LANDMARK_CROP)


@pytest.mark.parametrize("scale", [0.5, 2, 4])
def test_refined_landmarks_do_not_depend_on_the_size_of_the_image(
    detector: Detector, spec: DetectorSpec, scale: float
) -> None:
    image = astronaut()
    resized = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    refined = _refined(detector, image, spec)
    refined_in_resized = _refined(detector, resized, spec)
    assert landmark_error(refined_in_resized.scaled(1 / scale).landmarks, refined.landmarks) < 0.04


@pytest.mark.parametrize("degrees", [-25, -12, 12, 25])
def test_refined_landmarks_follow_the_roll_of_the_face(detector: Detector, spec: DetectorSpec, degrees: float) -> None:
    image = astronaut()
    matrix = cv2.getRotationMatrix2D((224, 110), degrees, 1)
    rotated = np.asarray(cv2.warpAffine(image, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    refined = _refined(detector, image, spec)
    refined_in_rotated = _refined(detector, rotated, spec)
    expected = (refined.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    assert landmark_error(refined_in_rotated.landmarks, expected) < 0.05


def test_a_face_that_is_not_detected_on_its_crop_is_unchanged(detector: Detector) -> None:
    blank = np.full((300, 300, 3), 120, np.uint8)
    face = _face(50, 50, 150)
    assert refine_landmarks(detector, blank, face, _LANDMARK_CROP) is face
    assert refine_landmarks(detector, blank, _face(50, 50, 0), _LANDMARK_CROP).box == Box(50, 50, 50, 50)


def test_refined_landmarks_are_those_of_the_face_and_not_of_a_neighbour(detector: Detector) -> None:
    image = cast()
    for face in detector.detect(image):
        refined = refine_landmarks(detector, image, face, _LANDMARK_CROP)
        assert face.box.iou(refined.box) == 1.0
        assert landmark_error(refined.landmarks, face.landmarks) < 0.15
