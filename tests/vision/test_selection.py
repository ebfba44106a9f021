from __future__ import annotations

import numpy as np
import pytest

from app.domain import Box, Face, MatchingStrategy
from app.errors import ApiError, ErrorCode
from app.vision.selection import select

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


def test_a_clear_face_is_preferred_to_a_larger_unclear_one() -> None:
    unclear, clear = _face(90, 0.7), _face(40, 0.8)
    assert select([unclear, clear], _PICTURE, _LARGEST, 0.8) is clear


def test_without_a_clear_face_the_largest_is_taken_all_the_same() -> None:
    small, large = _face(40, 0.7), _face(90, 0.6)
    assert select([small, large], _PICTURE, _LARGEST, 0.8) is large


def test_no_face_is_an_error_of_the_picture() -> None:
    with pytest.raises(ApiError) as caught:
        select([], _PICTURE, _LARGEST, 0.8)
    assert caught.value.code is ErrorCode.NO_FACE_IN_PHOTO
