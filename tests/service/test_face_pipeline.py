"""A look at a picture ends in time, and decodes no more than it needs."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from app.domain import Face, Image, MatchingStrategy
from app.engine import Pipelines
from app.ops.deadline import DeadlineExceededError
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.service.face_pipeline import FaceDetectionPipeline
from tests.support.images import astronaut, jpeg


class _Nobody:
    """A slow detector that finds nobody."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.calls += 1
        time.sleep(0.3)
        return []


def test_no_turn_is_begun_when_the_time_is_over(pack: Pack) -> None:
    nobody = _Nobody()
    grey = jpeg(np.full((100, 100, 3), 90, np.uint8))
    detection, timer = FaceDetectionPipeline(nobody, pack.detector), StageTimer.after(0.5)
    with pytest.raises(DeadlineExceededError):
        detection.detect_all(detection.parse(grey, timer), timer, rotate=True)
    assert nobody.calls < 4


@pytest.mark.parametrize(
    ("head", "size", "side"),
    [
        (1000, 80.0, 350),  # what is glanced at is enough for the crop
        (1000, 150.0, 700),  # half of each side is
        (250, 80.0, 1400),  # the face is found at half, which would be too little
    ],
)
def test_of_a_large_photo_only_what_the_face_needs_is_decoded(
    pipelines: Pipelines, head: int, size: float, side: int
) -> None:
    canvas = np.full((1400, 1400, 3), 120, np.uint8)
    canvas[200 : 200 + head, 300 : 300 + head] = cv2.resize(astronaut()[0:250, 100:350], (head, head))
    detection = pipelines.detection
    timer = StageTimer.after(30)
    encoded = detection.parse(jpeg(canvas), timer)
    target = detection.detect_target(encoded, MatchingStrategy.LARGEST, size, timer, rotate=False)
    assert target.image.shape == (side, side, 3)
    left, right = detection.refine_landmarks(target, timer).landmarks[:2] * (1400 / side)
    expected = np.array([300, 200]) + np.array([[105, 101], [147, 105]]) * head / 250
    assert np.abs(np.stack([left, right]) - expected).max() < 0.05 * head
