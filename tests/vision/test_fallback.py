"""Detection at other scales: tiles and smaller input sizes, with a scripted and with a real detector."""

import cv2
import numpy as np
import pytest

from app.domain import Box, Face, Image
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.detect.base import MAX_CANDIDATES, Detector
from app.vision.fallback import detect_large, detect_small
from app.vision.search import detect_full
from tests.support.detectors import CountingDetector, detector_spec
from tests.support.images import astronaut

_SPEC = detector_spec("scripted", 0.5, 0.8, LandmarkCrop(side=128, face=64.0))
_UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32) / 100


def _face(left: int, top: int, width: int, height: int, confidence: float = 0.9) -> Face:
    box = Box(left, top, left + width, top + height)
    return Face(box, (_UPRIGHT * [width, height] + [left, top]).astype(np.float32), confidence)


class _BlobDetector:
    """Returns each white square of an image as an upright face."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.shapes.append(image.shape[:2])
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[:, :, 0] > 200).astype(np.uint8))
        return [_face(*stats[index, :4].tolist()) for index in range(1, count)]


def _image_with_square(width: int, height: int, left: int, top: int, side: int) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + side, left : left + side] = 255
    return image


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [(641, 64, 2), (1000, 700, 4), (2560, 1920, 20), (4000, 3000, 20), (4000, 4000, 25)],
)
def test_small_faces_are_found_in_tiles_wherever_they_stand(width: int, height: int, tiles: int) -> None:
    side = 48
    for left in (0, width // 3, width // 2, width - side):
        detector = _BlobDetector()
        image = _image_with_square(width, height, left, height - side - 1, side)
        faces = detect_small(detector, image, _SPEC)
        expected = Box(left, height - side - 1, left + side, height - 1)
        assert max(face.box.iou(expected) for face in faces) > 0.8
        assert len(detector.shapes) == tiles
        assert max(max(shape) for shape in detector.shapes) <= _SPEC.max_side


class _DoubtfulDetector:
    """Returns one face of every image, with a confidence."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        return [_face(200, 200, 40, 40, self._confidence)]


@pytest.mark.parametrize(("confidence", "is_found"), [(0.5, False), (0.64, False), (0.66, True), (0.8, True)])
def test_a_small_face_needs_more_confidence_than_a_face_of_full_detection(confidence: float, is_found: bool) -> None:
    image = np.zeros((1000, 1000, 3), np.uint8)
    assert bool(detect_small(_DoubtfulDetector(confidence), image, _SPEC)) is is_found


class _CrowdDetector:
    """Returns 961 faces of every image."""

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        return [_face(left, top, 20, 20) for top in range(0, 620, 20) for left in range(0, 620, 20)]


def test_a_crowd_in_every_tile_is_limited_to_bound_the_time_of_nms() -> None:
    faces = detect_small(_CrowdDetector(), np.zeros((4000, 4000, 3), np.uint8), _SPEC)
    assert 1000 < len(faces) <= MAX_CANDIDATES


def test_an_image_that_full_detection_does_not_shrink_has_no_tiles() -> None:
    detector = _BlobDetector()
    assert not detect_small(detector, _image_with_square(640, 480, 100, 100, 48), _SPEC)
    assert not detector.shapes


def test_a_real_face_of_34_pixels_is_found_in_an_image_of_4000_pixels(detector: Detector, spec: DetectorSpec) -> None:
    head = cv2.resize(astronaut()[0:250, 100:350], (90, 90), interpolation=cv2.INTER_AREA)
    image = np.full((3000, 4000, 3), 120, np.uint8)
    for left, top in ((0, 0), (595, 1275), (3910, 2910)):
        canvas = image.copy()
        canvas[top : top + 90, left : left + 90] = head
        assert not detect_full(detector, canvas, spec, rotate=False)
        (face,) = detect_small(detector, canvas, spec)
        assert left < (face.box.left + face.box.right) / 2 < left + 90
        assert top < (face.box.top + face.box.bottom) / 2 < top + 90


class _LargeFaceDetector:
    """Finds a face at one input size only."""

    def __init__(self, side: int) -> None:
        self._side = side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        return [_face(10, 10, 600, 600)] if side == self._side else []


@pytest.mark.parametrize(("side", "is_found"), [(320, True), (160, True), (96, False)])
@pytest.mark.parametrize("rotate", [False, True])
def test_a_face_that_fills_the_image_is_found_at_a_smaller_size(side: int, is_found: bool, rotate: bool) -> None:
    image = np.zeros((640, 640, 3), np.uint8)
    assert bool(detect_large(_LargeFaceDetector(side), image)) is is_found
    assert bool(detect_full(_LargeFaceDetector(side), image, _SPEC, rotate=rotate)) is is_found


def test_no_other_size_is_tried_if_full_detection_finds_a_face(detector: Detector, spec: DetectorSpec) -> None:
    counting = CountingDetector(detector)
    assert detect_full(counting, astronaut(), spec, rotate=False)
    assert counting.calls == 1
