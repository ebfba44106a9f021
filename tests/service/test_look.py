"""A look at a picture ends in time, and decodes no more than it needs."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from app.domain import Face, Image, MatchingStrategy
from app.engine import Pipelines
from app.errors import ApiError, ErrorCode
from app.ops.deadline import Deadline
from app.packs.manifest import Pack
from app.service.look import Looker
from benchmarks.pictures import astronaut, jpeg


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
    with pytest.raises(ApiError) as caught:
        Looker(nobody, pack.detector).look(grey, Deadline.after(0.5), rotate=True)
    assert caught.value.code is ErrorCode.REQUEST_TIMEOUT
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
    looker = pipelines.looker
    image, face = looker.look_at_one(jpeg(canvas), MatchingStrategy.LARGEST, size, Deadline.after(30), rotate=False)
    assert image.shape == (side, side, 3)
    left, right = looker.look_closer(image, face).landmarks[:2] * (1400 / side)
    expected = np.array([300, 200]) + np.array([[105, 101], [147, 105]]) * head / 250
    assert np.abs(np.stack([left, right]) - expected).max() < 0.05 * head
