"""Detection stops at the deadline, and decodes only the resolution it needs."""

import time

import cv2
import numpy as np
import pytest

from app.domain import Box, CompareOptions, DetectOptions, Face, Image, MatchingStrategy, QualityPolicy
from app.engine import Pipelines
from app.errors import ApiError, ErrorCode
from app.ops.deadline import DeadlineExceededError
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.detect import FaceAnalyzer
from app.service.errors import api_errors
from app.service.face_pipeline import EmbeddingPipeline, FaceDetectionPipeline
from app.service.quality_gate import QualityGate
from app.vision.detect import DETECTORS
from app.vision.embed import Embedder
from app.vision.quality.assessment import QualityAssessor
from app.vision.rotation import roll
from app.vision.selection import RotatedFaceError
from tests.support.detectors import CountingDetector, RotationBlindDetector
from tests.support.images import astronaut, jpeg, shrunk


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


class _FaceDetector:
    """Finds one upright face, ``side`` pixels wide and high."""

    def __init__(self, side: float) -> None:
        self._side = side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        landmarks = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]]) * self._side / 100
        return [Face(Box(0, 0, self._side, self._side), landmarks.astype(np.float32), 0.99)]


def test_the_reason_names_fewer_pixels_than_the_minimum(store: Store, pack: Pack, assessor: QualityAssessor) -> None:
    minimum = pack.embedder.min_face_side
    detection = FaceDetectionPipeline(_FaceDetector(minimum - 0.3), pack.detector)
    gate = QualityGate(assessor, QualityPolicy.ACCEPT_DESCRIBED)
    embedder = Embedder(OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1), pack.embedder)
    pipeline = EmbeddingPipeline(detection, gate, embedder, pack, MatchingStrategy.LARGEST)
    with pytest.raises(ApiError) as caught:
        pipeline.embed(jpeg(np.zeros((64, 64, 3), np.uint8)), CompareOptions(), StageTimer.after(30))
    assert caught.value.reason == f"the face has {minimum - 1} pixels of the original image, less than {minimum}"


def test_no_tile_is_searched_after_the_deadline(pack: Pack) -> None:
    detector = _SlowDetector()
    grey = jpeg(np.full((2000, 2000, 3), 90, np.uint8))
    detection, timer = FaceDetectionPipeline(detector, pack.detector), StageTimer.after(2.5)
    with pytest.raises(DeadlineExceededError):
        detection.detect_target(detection.parse(grey, timer), MatchingStrategy.LARGEST, 80.0, timer, rotate=False)
    assert 6 < detector.calls < 12  # three coarse sizes, full detection, two smaller sizes, and some of 16 tiles


@pytest.mark.parametrize("strategy", MatchingStrategy)
def test_a_small_face_of_a_large_image_is_found(pipelines: Pipelines, strategy: MatchingStrategy) -> None:
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    canvas[2100:2190, 1300:1390] = shrunk(astronaut()[0:250, 100:350], 90)  # the face is 32 pixels wide
    detection, timer = pipelines.detection, StageTimer.after(30)
    encoded = detection.parse(jpeg(canvas, 95), timer)
    target = detection.detect_target(encoded, strategy, 80.0, timer, rotate=False)
    (face,) = detection.detect_all(encoded, timer, rotate=False)[1]
    assert target.reduction == 1
    assert target.face.box.iou(face.box) > 0.6
    assert target.face.box.iou(Box(1329, 2121, 1361, 2164)) > 0.4


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


@pytest.fixture
def rotation_blind(store: Store, pack: Pack) -> FaceDetectionPipeline:
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    detector = RotationBlindDetector(DETECTORS[pack.detector.family](session, pack.detector))
    return FaceDetectionPipeline(detector, pack.detector)


_UPSIDE_DOWN = jpeg(np.ascontiguousarray(astronaut()[::-1, ::-1]))


@pytest.mark.parametrize("strategy", MatchingStrategy)
def test_an_upside_down_target_face_is_compared_with_rotation_only(
    rotation_blind: FaceDetectionPipeline, strategy: MatchingStrategy
) -> None:
    timer = StageTimer.after(30)
    for data, rotate, expected_roll in ((jpeg(astronaut()), False, 0), (_UPSIDE_DOWN, True, 180)):
        target = rotation_blind.detect_target(rotation_blind.parse(data, timer), strategy, 80.0, timer, rotate=rotate)
        face = rotation_blind.refine_landmarks(target, timer, rotate=rotate)
        assert abs(roll(face)) == pytest.approx(expected_roll, abs=15)
    target = rotation_blind.detect_target(
        rotation_blind.parse(_UPSIDE_DOWN, timer), strategy, 80.0, timer, rotate=False
    )
    with pytest.raises(RotatedFaceError):
        rotation_blind.refine_landmarks(target, timer, rotate=False)


def test_detect_face_returns_no_upside_down_face_without_rotation(
    rotation_blind: FaceDetectionPipeline, assessor: QualityAssessor
) -> None:
    analyzer, timer = FaceAnalyzer(rotation_blind, assessor, 0), StageTimer.after(30)
    assert len(analyzer.analyze(_UPSIDE_DOWN, DetectOptions(rotate=True), timer).faces) == 1
    with pytest.raises(RotatedFaceError):
        analyzer.analyze(_UPSIDE_DOWN, DetectOptions(), timer)
    both = np.concatenate([astronaut(), astronaut()[::-1, ::-1]], axis=1)
    faces = analyzer.analyze(jpeg(both), DetectOptions(max_faces=10), timer).faces
    assert faces
    assert all(face.box.right < astronaut().shape[1] for face in faces)


def test_a_rotated_face_is_an_error_whose_reason_is_for_the_log_only() -> None:
    with pytest.raises(ApiError) as caught, api_errors("A"):
        raise RotatedFaceError
    assert (caught.value.code, caught.value.image) == (ErrorCode.NO_FACE_IN_PHOTO, "A")
    assert "seems rotated" in caught.value.reason
    assert "seems rotated" not in caught.value.message(chinese=False)
