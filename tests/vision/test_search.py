"""A coarse look is enough where it is; where it is not, all pixels count."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Box, Face, Image, MatchingStrategy
from app.packs.manifest import LandmarkCrop, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.rotation import roll
from app.vision.search import (
    COARSE_SIDES,
    ROTATION_SIDES,
    ConfidenceThresholds,
    detect_coarse,
    detect_full,
    refine_landmarks,
)
from app.vision.selection import NoFaceError, select
from tests.support.detectors import detectors
from tests.support.images import astronaut, cast
from tests.support.pipelines import detect_target
from tests.support.rotation import MAX_LANDMARK_ERROR, landmark_error, rotate

_ALL_TURNS = 8
_TRUST = ConfidenceThresholds(selection=0.8, upright=0.9)
_CLOSE_UP = LandmarkCrop(side=128, face=64.0)
_UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32) / 100


def _face(left: float, top: float, side: float, confidence: float = 0.95) -> Face:
    return Face(Box(left, top, left + side, top + side), (_UPRIGHT * side + [left, top]).astype(np.float32), confidence)


class _Told:
    """A detector that finds at each size of the look what the test says; the whole search is None."""

    def __init__(self, faces: dict[int | None, list[Face]]) -> None:
        self._faces = faces
        self.looks: list[int | None] = []

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.looks.append(side)
        return self._faces.get(side, [])


def _looks(told: dict[int | None, list[Face]], **asked: object) -> tuple[Face, list[int | None]]:
    detector = _Told(told)
    options = {"rotate": False, "strategy": MatchingStrategy.LARGEST, **asked}
    face = detect_target(detector, np.zeros((640, 640, 3), np.uint8), _TRUST, **options)  # type: ignore[arg-type]
    return face, detector.looks


def test_a_clear_large_face_is_found_by_one_coarse_look() -> None:
    portrait = _face(100, 100, 300)
    assert _looks({96: [portrait]}) == (portrait, [96])


def test_a_face_too_small_for_the_coarse_look_is_looked_at_more_finely() -> None:
    small = _face(100, 100, 120)  # 18 pixels of 96, 30 of 160, 60 of 320
    assert _looks({96: [small], 160: [small], 320: [small]}) == (small, [96, 160, 320])


def test_a_small_face_needs_the_whole_search() -> None:
    tiny = _face(100, 100, 40)
    assert _looks({96: [], 160: [], 320: [tiny], None: [tiny]}) == (tiny, [96, 160, 320, None])


def test_an_unclear_face_needs_the_whole_search() -> None:
    dim, seen = _face(100, 100, 300, 0.7), _face(102, 100, 300, 0.75)
    assert _looks({96: [dim], 160: [dim], 320: [dim], None: [seen]}) == (seen, [96, 160, 320, None])


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_a_face_of_comparable_size_leaves_the_choice_to_the_whole_search(confidence: float) -> None:
    one, rival = _face(20, 100, 250), _face(320, 100, 200, confidence)
    closer = _face(320, 90, 260, 0.95)
    assert _looks({96: [one, rival], None: [one, closer]}) == (closer, [96, None])


def test_a_much_smaller_neighbour_is_no_rival() -> None:
    one, neighbour = _face(20, 100, 250), _face(320, 100, 170)
    assert _looks({96: [neighbour, one]}) == (one, [96])


def test_the_most_confident_face_of_all_needs_the_whole_search() -> None:
    large, small = _face(20, 20, 300), _face(400, 400, 50, 0.99)
    told: dict[int | None, list[Face]] = {96: [large], None: [small, large]}
    assert _looks(told, strategy=MatchingStrategy.MOST_CONFIDENT) == (small, [None])


def test_with_rotation_quarter_turns_are_glanced_at_before_all_pixels_are_looked_at() -> None:
    assert _looks({None: [_face(100, 100, 300)]}, rotate=True)[1] == [*ROTATION_SIDES * 8, None]


class _Turned(_Told):
    """Finds a large face with the confidences given: upright, then in the other turns; a little less in 96 pixels."""

    def __init__(self, *confidences: float) -> None:
        super().__init__({})
        self._confidence, self._confidences = confidences[0], confidences

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        super().detect(image, side)
        if side == ROTATION_SIDES[0]:
            self._confidence = self._confidences[self.looks.count(side) - 1]
        elif self.looks.count(ROTATION_SIDES[0]) == _ALL_TURNS:
            self._confidence = self._confidences[0]
        confidence = {COARSE_SIDES[0]: 0.97, ROTATION_SIDES[0]: 1.0}.get(side or 0, 0.0) * self._confidence
        return [_face(100, 100, 320, confidence)] if confidence else []


@pytest.mark.parametrize(
    ("confidences", "turn", "looks"),
    [
        ((0.92,), 0, 1),  # sure at once
        ((0.85, 0, 0.7, 0.86, 0, 0, 0, 0), 0, 8),  # clear, and nothing is much clearer
        ((0.85, 0, 0, 0.88, 0, 0, 0, 0), None, 8),  # clear, but upside down it is clearer: the whole search has to tell
        ((0.85, 0, 0, 0.93), 180, 4),
        ((0.85, 0.7, 0.7, 0.86, 0.93), -45, 5),  # some faces between the quarter turns look upright, too
        ((0.7, 0.93), -90, 2),
        ((0.7, 0.85, 0, 0.88, 0, 0, 0, 0), None, 8),
        ((0, 0.89, 0, 0, 0, 0, 0, 0), None, 8),
    ],
)
def test_some_faces_are_taken_for_upright_ones_upside_down(
    confidences: tuple[float, ...], turn: float | None, looks: int
) -> None:
    detector = _Turned(*confidences)
    face = detect_coarse(detector, np.zeros((640, 640, 3), np.uint8), _TRUST, rotate=True)
    if turn is None:
        assert face is None
    else:
        assert face is not None
        assert face.confidence == pytest.approx(0.97 * confidences[looks - 1 if looks < _ALL_TURNS else 0])
        assert (turn + roll(face) + 180) % 360 == pytest.approx(180, abs=0.1)
    assert detector.looks.count(ROTATION_SIDES[0]) == looks


def test_a_turn_that_is_sure_but_shows_no_face_in_fewer_pixels_is_left_to_the_whole_search() -> None:
    told: dict[int | None, list[Face]] = {128: [_face(100, 100, 320, 0.95)], None: [_face(90, 90, 320)]}
    assert _looks(told, rotate=True) == (told[None][0], [128, 96, 160, 320, None])


@pytest.mark.parametrize("side", [70, 128])
def test_a_picture_that_no_turn_can_be_told_of_is_left_to_the_whole_search(side: int) -> None:
    detector = _Told({None: [_face(10, 10, 50)]})
    detect_target(detector, np.zeros((side, side, 3), np.uint8), _TRUST, rotate=True)
    assert detector.looks == [None]


def test_a_picture_smaller_than_the_coarse_looks_is_looked_at_once() -> None:
    detector, face = _Told({None: [_face(10, 10, 70)]}), _face(10, 10, 70)
    found = detect_target(detector, np.zeros((90, 96, 3), np.uint8), _TRUST, rotate=False)
    assert (found.box, detector.looks) == (face.box, [None])


def test_nobody_is_told_after_the_whole_search() -> None:
    with pytest.raises(NoFaceError):
        _looks({})


# --- the real detector ---


@pytest.fixture(scope="module")
def detector(store: Store, pack: Pack) -> Detector:
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return DETECTORS[pack.detector.family](session, pack.detector)


def _largest(detector: Detector, image: Image, trust: ConfidenceThresholds) -> Face:
    return detect_target(detector, image, trust, rotate=False)


def _whole(detector: Detector, image: Image, trust: ConfidenceThresholds) -> Face:
    faces = detect_full(detector, image, trust, rotate=False)
    return select(faces, image, MatchingStrategy.LARGEST, trust.selection)


@pytest.mark.parametrize("scale", [0.5, 1, 2, 4])
@pytest.mark.parametrize("picture", [astronaut, cast])
def test_the_search_finds_the_face_that_the_whole_search_finds(
    detector: Detector, pack: Pack, picture: object, scale: float
) -> None:
    image = np.asarray(cv2.resize(picture(), None, fx=scale, fy=scale), np.uint8)  # type: ignore[operator]
    trust = ConfidenceThresholds.of(pack.detector)
    assert _largest(detector, image, trust).box.iou(_whole(detector, image, trust).box) > 0.5


@pytest.mark.parametrize("ahead", [0, 1, 2, 3])
def test_the_largest_of_several_wins_wherever_it_stands(detector: Detector, pack: Pack, ahead: int) -> None:
    head = astronaut()[0:250, 100:350]
    canvas = np.full((800, 800, 3), 120, np.uint8)
    for place in range(4):
        side = 380 if place == ahead else 300
        top, left = 400 * (place // 2), 400 * (place % 2)
        canvas[top : top + side, left : left + side] = cv2.resize(head, (side, side))
    box = _largest(detector, canvas, ConfidenceThresholds.of(pack.detector)).box
    assert (box.left + box.right) / 2 // 400 + 2 * ((box.top + box.bottom) / 2 // 400) == ahead


@pytest.mark.shared
def test_the_search_agrees_with_the_whole_one_on_lfw(detector: Detector, pack: Pack, shared: Path) -> None:
    pictures = [cv2.imread(str(path)) for path in sorted((shared / "data/lfw").glob("*/*.jpg"))[::40]]
    assert len(pictures) > 100
    trust = ConfidenceThresholds.of(pack.detector)
    for image in (np.asarray(picture, np.uint8) for picture in pictures):
        assert _largest(detector, image, trust).box.iou(_whole(detector, image, trust).box) > 0.4


@pytest.mark.shared
@pytest.mark.parametrize("name", ["open", "opencv", "buffalo_m"])
@pytest.mark.parametrize(("degrees", "most_wrong"), [(0, 0), (45, 2), (180, 0)])
def test_every_face_is_found_the_right_way_up(
    store: Store, pack: Pack, shared: Path, name: str, degrees: int, most_wrong: int
) -> None:
    detector, spec = detectors(store, pack)[name]
    trust, wrong = ConfidenceThresholds.of(spec), 0
    for path in sorted((shared / "data/lfw").glob("*/*.jpg"))[5::100]:
        picture = np.asarray(cv2.imread(str(path)), np.uint8)
        upright = detect_target(detector, picture, trust, rotate=False)
        image, expected = rotate(picture, upright.landmarks, degrees)
        face = detect_target(detector, image, trust, rotate=True)
        wrong += landmark_error(face.landmarks, expected) > MAX_LANDMARK_ERROR
    assert wrong <= most_wrong


# --- landmarks ---


def _off(face: Face, other: Face) -> float:
    """Mean distance of the landmarks, in distances of the eyes."""
    eyes = float(np.hypot(*(other.landmarks[1] - other.landmarks[0])))
    return float(np.hypot(*(face.landmarks - other.landmarks).T).mean()) / eyes


@pytest.mark.parametrize("scale", [0.5, 2, 4])
def test_refined_landmarks_do_not_depend_on_the_size_of_the_picture(
    detector: Detector, pack: Pack, scale: float
) -> None:
    image = astronaut()
    other = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    trust = ConfidenceThresholds.of(pack.detector)
    here = refine_landmarks(detector, image, _largest(detector, image, trust), _CLOSE_UP)
    there = refine_landmarks(detector, other, _largest(detector, other, trust), _CLOSE_UP)
    assert _off(there.scaled(1 / scale), here) < 0.04


@pytest.mark.parametrize("degrees", [-25, -12, 12, 25])
def test_refined_landmarks_lean_with_the_face(detector: Detector, pack: Pack, degrees: float) -> None:
    image, trust = astronaut(), ConfidenceThresholds.of(pack.detector)
    here = refine_landmarks(detector, image, _largest(detector, image, trust), _CLOSE_UP)
    matrix = cv2.getRotationMatrix2D((224, 110), degrees, 1)
    leaning = np.asarray(cv2.warpAffine(image, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    there = refine_landmarks(detector, leaning, _largest(detector, leaning, trust), _CLOSE_UP)
    turned = here.landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert _off(there, Face(here.box, turned.astype(np.float32), 1.0)) < 0.05


def test_a_face_that_the_second_look_does_not_show_stays_as_it_is(detector: Detector) -> None:
    nobody = np.full((300, 300, 3), 120, np.uint8)
    face = _face(50, 50, 150)
    assert refine_landmarks(detector, nobody, face, _CLOSE_UP) is face
    assert refine_landmarks(detector, nobody, _face(50, 50, 0), _CLOSE_UP).box == Box(50, 50, 50, 50)


def test_the_second_look_is_at_the_face_and_at_no_neighbour(detector: Detector) -> None:
    image = cast()
    for face in detector.detect(image):
        assert face.box.iou(refine_landmarks(detector, image, face, _CLOSE_UP).box) == 1.0
        assert _off(refine_landmarks(detector, image, face, _CLOSE_UP), face) < 0.15
