import numpy as np
import pytest

from app.domain import Box, Face, Image, MatchingStrategy, TargetNote
from app.vision.selection import NoFaceError, match_by_iou, select_target, target_notes

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


def _centred(side: float, x: float, y: float, confidence: float = 0.9) -> Face:
    box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return Face(box, np.zeros((5, 2), dtype=np.float32), confidence)


@pytest.mark.parametrize(
    ("side", "x", "y", "is_central_selected"),
    [
        (50, 75, 100, True),  # equally large
        (54, 75, 100, True),  # a little larger
        (65, 75, 100, False),
        (56, 30, 30, True),
        (69, 36, 36, False),
        (71, 36, 36, False),  # twice the area
        (90, 50, 50, False),  # clearly larger
    ],
)
def test_of_faces_of_comparable_size_the_central_one_is_selected(
    side: float, x: float, y: float, is_central_selected: bool
) -> None:
    central, other = _centred(50, 150, 100), _centred(side, x, y)
    target = select_target([other, central], _IMAGE, _LARGEST, 0.8)
    assert target is (central if is_central_selected else other)


@pytest.mark.parametrize("confidence", [0.3, 0.5, 0.79, 0.9])
@pytest.mark.parametrize("corner", [(36, 36), (264, 164)])
def test_a_face_with_more_than_twice_the_area_is_always_selected(confidence: float, corner: tuple[int, int]) -> None:
    central, larger = _centred(50, 150, 100, 0.99), _centred(72, *corner, confidence)
    assert select_target([central, larger], _IMAGE, _LARGEST, 0.8) is larger


@pytest.mark.parametrize(
    ("side", "confidence", "is_confident_selected"),
    [(60, 0.6, True), (60, 0.7, True), (60, 0.79, False), (72, 0.6, False)],
)
def test_a_confident_face_is_preferred_to_a_larger_doubtful_one(
    side: float, confidence: float, is_confident_selected: bool
) -> None:
    doubtful, confident = _centred(side, 100, 100, confidence), _centred(55, 200, 100, 0.8)
    assert select_target([doubtful, confident], _IMAGE, _LARGEST, 0.8) is (
        confident if is_confident_selected else doubtful
    )


def test_only_faces_of_comparable_size_are_measured_again() -> None:
    first, second, small = _centred(50, 100, 100), _centred(48, 200, 100), _centred(20, 150, 100)
    measured: list[Face] = []

    def measure(face: Face, _: Image) -> float:
        measured.append(face)
        return 2600.0 if face is second else 2400.0

    assert select_target([first, second, small], _IMAGE, _LARGEST, 0.8, measure) is second
    assert measured == [first, second]
    assert select_target([first, small], _IMAGE, _LARGEST, 0.8, measure) is first
    assert measured == [first, second]


def test_at_most_eight_faces_are_measured_again() -> None:
    faces = [_centred(20 + index / 10, 150, 100) for index in range(100)]
    measured: list[Face] = []

    def measure(face: Face, _: Image) -> float:
        measured.append(face)
        return 100 if face is faces[-8] else 1

    assert select_target(faces, _IMAGE, _LARGEST, 0.8, measure) is faces[-8]
    assert measured == faces[:-9:-1]


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ([_centred(50, 150, 100)], ()),
        ([_centred(50, 150, 100), _centred(34, 50, 100)], ()),
        ([_centred(50, 150, 100), _centred(36, 50, 100)], (TargetNote.COMPARABLE_FACE,)),
        ([_centred(50, 150, 100), _centred(55, 50, 100)], (TargetNote.COMPARABLE_FACE,)),
        ([_centred(50, 150, 100), _centred(55, 50, 100, 0.7)], (TargetNote.COMPARABLE_FACE, TargetNote.DOUBTFUL_FACE)),
    ],
)
def test_notes_name_comparable_and_skipped_faces(faces: list[Face], expected: tuple[TargetNote, ...]) -> None:
    assert target_notes(faces[0], faces, _IMAGE, 0.8) == expected


def test_selecting_from_no_faces_is_an_error() -> None:
    with pytest.raises(NoFaceError):
        select_target([], _IMAGE, _LARGEST, 0.8)


@pytest.mark.parametrize(("left", "is_matched"), [(0, True), (50, True), (60, False), (500, False)])
def test_the_face_with_the_highest_iou_is_matched_if_it_overlaps_enough(left: float, is_matched: bool) -> None:
    neighbour, face = _face(100, 0.9, left=left + 300), _face(100, 0.5, left=left)
    assert match_by_iou([neighbour, face], Box(0, 0, 100, 100)) is (face if is_matched else None)
    assert match_by_iou([], Box(0, 0, 100, 100)) is None
