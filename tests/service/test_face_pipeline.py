"""Detection stops at the deadline, and decodes only the resolution it needs."""

import time

import cv2
import numpy as np
import pytest

from app.domain import Face, Image, MatchingStrategy
from app.engine import Pipelines
from app.ops.deadline import DeadlineExceededError
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.detect import DETECTORS
from tests.support.detectors import CountingDetector
from tests.support.images import astronaut, jpeg


class _SlowDetector:
    """A slow detector that finds no face."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.calls += 1
        time.sleep(0.3)
        return []


def test_no_rotation_is_tried_after_the_deadline(pack: Pack) -> None:
    detector = _SlowDetector()
    grey = jpeg(np.full((100, 100, 3), 90, np.uint8))
    detection, timer = FaceDetectionPipeline(detector, pack.detector), StageTimer.after(0.5)
    with pytest.raises(DeadlineExceededError):
        detection.detect_all(detection.parse(grey, timer), timer, rotate=True)
    assert detector.calls < 4


@pytest.mark.parametrize(
    ("head_side", "face_size", "decoded_side"),
    [
        (1000, 80.0, 350),  # the resolution of coarse detection is enough for the crop
        (1000, 150.0, 700),  # half of the resolution is enough
        (250, 80.0, 1400),  # the face is detected at half of the resolution, which is too low for the crop
    ],
)
def test_a_large_image_is_decoded_at_the_resolution_that_the_crop_needs(
    pipelines: Pipelines, head_side: int, face_size: float, decoded_side: int
) -> None:
    canvas = np.full((1400, 1400, 3), 120, np.uint8)
    head = cv2.resize(astronaut()[0:250, 100:350], (head_side, head_side))
    canvas[200 : 200 + head_side, 300 : 300 + head_side] = head
    detection = pipelines.detection
    timer = StageTimer.after(30)
    encoded = detection.parse(jpeg(canvas), timer)
    target = detection.detect_target(encoded, MatchingStrategy.LARGEST, face_size, timer, rotate=False)
    assert target.image.shape == (decoded_side, decoded_side, 3)
    left, right = detection.refine_landmarks(target, timer, rotate=False).landmarks[:2] * (1400 / decoded_side)
    expected = np.array([300, 200]) + np.array([[105, 101], [147, 105]]) * head_side / 250
    assert np.abs(np.stack([left, right]) - expected).max() < 0.05 * head_side


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(
    ("side", "strategy", "is_repeated"),
    [
        (512, MatchingStrategy.MOST_CONFIDENT, False),  # full detection at full resolution selected the face
        (512, MatchingStrategy.LARGEST, True),  # coarse detection selected it
        (2000, MatchingStrategy.MOST_CONFIDENT, True),  # full detection at a reduced resolution selected it
    ],
)
def test_full_detection_at_full_resolution_is_not_repeated(
    store: Store, pack: Pack, side: int, strategy: MatchingStrategy, is_repeated: bool, rotate: bool
) -> None:
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    detector = CountingDetector(DETECTORS[pack.detector.family](session, pack.detector))
    detection, timer = FaceDetectionPipeline(detector, pack.detector), StageTimer.after(30)
    encoded = detection.parse(jpeg(np.asarray(cv2.resize(astronaut(), (side, side)), np.uint8)), timer)
    target = detection.detect_target(encoded, strategy, 1.0, timer, rotate=rotate)
    calls = detector.calls
    full = detection.detect_full_resolution(encoded, target, timer, rotate=rotate)
    assert (detector.calls > calls) is is_repeated
    image, faces = detection.detect_all(encoded, timer, rotate=rotate)
    assert np.array_equal(full.image, image)
    assert [np.array_equal(full.face.landmarks, face.landmarks) for face in faces].count(True) == 1
