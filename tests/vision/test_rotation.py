from __future__ import annotations

import numpy as np
import pytest

from app.domain import Box, Face, Image
from app.vision.rotation import find_faces, is_upright

_UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], dtype=np.float32)


def _face(landmarks: np.ndarray, confidence: float = 0.9) -> Face:
    return Face(Box(0, 0, 100, 100), landmarks.astype(np.float32), confidence)


def _turned(degrees: float) -> Face:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return _face((_UPRIGHT - 50) @ turn.T + 50)


class _MarkReader:
    """Finds a face where the picture's mark is; upright when the mark is in the top left corner."""

    def __init__(self, *, blind_unless_upright: bool) -> None:
        self._blind = blind_unless_upright
        self.calls = 0

    def detect(self, image: Image) -> list[Face]:
        self.calls += 1
        if image[0, 0, 0] == 255:
            return [_face(_UPRIGHT, 0.8)]
        return [] if self._blind else [_turned(180)]


def _marked(turns: int) -> Image:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    image[0, 0] = 255
    return np.ascontiguousarray(np.rot90(image, turns))


@pytest.mark.parametrize(
    ("degrees", "upright"), [(0, True), (40, True), (-40, True), (50, False), (90, False), (180, False)]
)
def test_a_face_is_upright_up_to_45_degrees(degrees: float, upright: bool) -> None:
    assert is_upright(_turned(degrees)) is upright


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("blind", [True, False])
def test_the_turn_with_an_upright_face_is_found(turns: int, blind: bool) -> None:
    image, faces = find_faces(_MarkReader(blind_unless_upright=blind), _marked(turns), rotate=True)
    assert image[0, 0, 0] == 255
    assert image.flags["C_CONTIGUOUS"]
    assert is_upright(faces[0])


def test_an_upright_picture_costs_one_detection() -> None:
    detector = _MarkReader(blind_unless_upright=True)
    find_faces(detector, _marked(0), rotate=True)
    assert detector.calls == 1


def test_without_the_flag_nothing_is_turned() -> None:
    detector = _MarkReader(blind_unless_upright=True)
    image, faces = find_faces(detector, _marked(2), rotate=False)
    assert (detector.calls, faces, image[0, 0, 0]) == (1, [], 0)


def test_without_an_upright_face_the_most_confident_turn_is_taken() -> None:
    class OnlyFaint:
        def detect(self, image: Image) -> list[Face]:
            confidence = 0.9 if image[0, 0, 0] == 255 else 0.6
            return [_face(_turned(180).landmarks, confidence)]

    image, faces = find_faces(OnlyFaint(), _marked(1), rotate=True)
    assert image[0, 0, 0] == 255
    assert faces[0].confidence == 0.9
