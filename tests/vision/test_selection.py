import numpy as np
import pytest

from app.domain import Box, Face, MatchingStrategy
from app.vision.selection import NoFaceError, match_by_iou, select_target

_IMAGE = np.zeros((200, 300, 3), dtype=np.uint8)
_LARGEST, _MOST_CONFIDENT = MatchingStrategy.LARGEST, MatchingStrategy.MOST_CONFIDENT


def _face(side: float, confidence: float, left: float = 0) -> Face:
    return Face(Box(left, 0, left + side, side), np.zeros((5, 2), dtype=np.float32), confidence)


_SMALL, _LARGE = _face(40, 0.99), _face(90, 0.85)


@pytest.mark.parametrize("faces", [[_SMALL, _LARGE], [_LARGE, _SMALL]])
@pytest.mark.parametrize(("strategy", "expected"), [(_LARGEST, _LARGE), (_MOST_CONFIDENT, _SMALL)])
def test_the_strategy_decides_regardless_of_the_order(
    faces: list[Face], strategy: MatchingStrategy, expected: Face
) -> None:
    assert select_target(faces, _IMAGE, strategy, 0.8) is expected


def test_of_two_equally_large_faces_the_more_confident_is_selected() -> None:
    less_confident, more_confident = _face(50, 0.85), _face(50, 0.9)
    assert select_target([less_confident, more_confident], _IMAGE, _LARGEST, 0.8) is more_confident


def test_only_the_area_inside_the_image_counts() -> None:
    cut_off, complete = _face(120, 0.9, left=260), _face(80, 0.9, left=100)
    assert select_target([cut_off, complete], _IMAGE, _LARGEST, 0.8) is complete


@pytest.mark.parametrize(
    ("side", "confidence", "is_confident_selected"),
    [(50, 0.79, True), (56, 0.79, True), (57, 0.79, False), (50, 0.81, False)],
)
def test_a_confident_face_of_at_least_half_the_area_is_preferred(
    side: float, confidence: float, is_confident_selected: bool
) -> None:
    largest, confident = _face(side, confidence), _face(40, 0.8)
    assert select_target([largest, confident], _IMAGE, _LARGEST, 0.8) is (
        confident if is_confident_selected else largest
    )


def test_of_several_confident_faces_the_largest_is_selected() -> None:
    largest, larger, small = _face(50, 0.7), _face(45, 0.8), _face(40, 0.95)
    assert select_target([largest, small, larger], _IMAGE, _LARGEST, 0.8) is larger


def test_without_a_confident_face_the_largest_is_selected() -> None:
    small, large = _face(40, 0.7), _face(45, 0.6)
    assert select_target([small, large], _IMAGE, _LARGEST, 0.8) is large


def test_selecting_from_no_faces_is_an_error() -> None:
    with pytest.raises(NoFaceError):
        select_target([], _IMAGE, _LARGEST, 0.8)


@pytest.mark.parametrize(("left", "is_matched"), [(0, True), (50, True), (60, False), (500, False)])
def test_the_face_with_the_highest_iou_is_matched_if_it_overlaps_enough(left: float, is_matched: bool) -> None:
    neighbour, face = _face(100, 0.9, left=left + 300), _face(100, 0.5, left=left)
    assert match_by_iou([neighbour, face], Box(0, 0, 100, 100)) is (face if is_matched else None)
    assert match_by_iou([], Box(0, 0, 100, 100)) is None
