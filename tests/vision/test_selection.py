from __future__ import annotations

import numpy as np
import pytest

from app.domain import Box, Face, MatchingStrategy
from app.vision.selection import NoFaceError, match_by_iou, select

_PICTURE = np.zeros((200, 300, 3), dtype=np.uint8)
_LARGEST, _MOST_CONFIDENT = MatchingStrategy.LARGEST, MatchingStrategy.MOST_CONFIDENT


def _face(side: float, confidence: float, left: float = 0) -> Face:
    return Face(Box(left, 0, left + side, side), np.zeros((5, 2), dtype=np.float32), confidence)


_SMALL_SURE, _LARGE_LESS_SURE = _face(40, 0.99), _face(90, 0.85)


@pytest.mark.parametrize("faces", [[_SMALL_SURE, _LARGE_LESS_SURE], [_LARGE_LESS_SURE, _SMALL_SURE]])
@pytest.mark.parametrize(("strategy", "chosen"), [(_LARGEST, _LARGE_LESS_SURE), (_MOST_CONFIDENT, _SMALL_SURE)])
def test_the_strategy_decides_whatever_the_order(faces: list[Face], strategy: MatchingStrategy, chosen: Face) -> None:
    assert select(faces, _PICTURE, strategy, 0.8) is chosen


def test_of_two_equally_large_faces_the_more_confident_wins() -> None:
    unsure, sure = _face(50, 0.85), _face(50, 0.9)
    assert select([unsure, sure], _PICTURE, _LARGEST, 0.8) is sure


def test_only_the_part_inside_the_picture_counts() -> None:
    cut_off, whole = _face(120, 0.9, left=260), _face(80, 0.9, left=100)
    assert select([cut_off, whole], _PICTURE, _LARGEST, 0.8) is whole


@pytest.mark.parametrize(
    ("side", "confidence", "gives_way"), [(50, 0.79, True), (56, 0.79, True), (57, 0.79, False), (50, 0.81, False)]
)
def test_an_unclear_face_gives_way_to_a_clear_one_of_half_its_size_at_least(
    side: float, confidence: float, gives_way: bool
) -> None:
    largest, clear = _face(side, confidence), _face(40, 0.8)
    assert select([largest, clear], _PICTURE, _LARGEST, 0.8) is (clear if gives_way else largest)


def test_of_several_clear_faces_the_largest_is_taken() -> None:
    largest, larger, small = _face(50, 0.7), _face(45, 0.8), _face(40, 0.95)
    assert select([largest, small, larger], _PICTURE, _LARGEST, 0.8) is larger


def test_without_a_clear_face_the_largest_is_taken() -> None:
    small, large = _face(40, 0.7), _face(45, 0.6)
    assert select([small, large], _PICTURE, _LARGEST, 0.8) is large


def test_no_face_is_an_error_of_the_picture() -> None:
    with pytest.raises(NoFaceError):
        select([], _PICTURE, _LARGEST, 0.8)


@pytest.mark.parametrize(("left", "is_installed"), [(0, True), (50, True), (60, False), (500, False)])
def test_a_face_is_found_again_where_its_box_was(left: float, is_installed: bool) -> None:
    neighbour, face = _face(100, 0.9, left=left + 300), _face(100, 0.5, left=left)
    found = match_by_iou([neighbour, face], Box(0, 0, 100, 100))
    assert found is (face if is_installed else None)
    assert match_by_iou([], Box(0, 0, 100, 100)) is None
