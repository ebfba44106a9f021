"""Positions and colours in the drawing of an inspection, with synthetic findings."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import Box, Completeness, Face, Image, Pose, Quality, QualityPolicy
from app.tools.inspect.drawing import (
    _ROW_HEIGHT,
    _SEVERITY_COLOURS,
    BACKGROUND,
    COMPARED,
    LEGEND_HEIGHT,
    OTHER,
    PHOTO_HEIGHT,
    PHOTO_WIDTH,
    SHOWN,
    draw,
)
from app.tools.inspect.findings import Finding
from app.vision.quality.assessment import QualityAssessment, Severity
from app.vision.quality.crop import MAP_SIDE, SIDE, TEMPLATE, QualityCrop

_MARGIN = 16
_CROPS_TOP = 2 * _MARGIN + LEGEND_HEIGHT + 24
"""Distance of the crops of the first row from the lower edge of a photo at the top of the sheet."""
_POLICY = QualityPolicy.ACCEPT_DESCRIBED


def _face(left: float = 100, top: float = 50) -> Face:
    return Face(Box(left, top, left + SIDE, top + SIDE), TEMPLATE + np.array([left, top], np.float32), 0.9)


def _finding(face: Face, *, mouth: int = 100, problems: tuple[str, ...] = ()) -> Finding:
    """A grey face: the lower half of its map is covered, its left quarter lies outside the photo."""
    visible = np.ones((MAP_SIDE, MAP_SIDE), np.float32)
    visible[MAP_SIDE // 2 :] = 0
    inside = np.ones((SIDE, SIDE), np.bool_)
    inside[:, : SIDE // 4] = False
    quality = Quality(70, 90, 50, Completeness(100, 100, 100, 100, mouth, 100))
    crop = QualityCrop(np.full((SIDE, SIDE, 3), 120, np.uint8), inside)
    return Finding(
        face,
        is_compared=True,
        pose=Pose(0, 0, 0),
        assessment=QualityAssessment(quality, crop, visible),
        grade=4,
        problems=problems,
        levels=dict.fromkeys(QualityPolicy, 4),
    )


def _photo(height: int = 400, width: int = PHOTO_WIDTH) -> Image:
    return np.full((height, width, 3), 60, np.uint8)


def _rgb(image: Image) -> NDArray[np.uint8]:
    return image[..., ::-1]


def test_bounding_boxes_are_coloured_by_the_role_of_the_face() -> None:
    compared, shown, other = (_face(left) for left in (20.0, 280.0, 540.0))
    findings = [_finding(compared), replace(_finding(shown), is_compared=False)]
    drawn = _rgb(draw(_photo(), [compared, shown, other], findings, _POLICY))
    for face, colour in ((compared, COMPARED), (shown, SHOWN), (other, OTHER)):
        box = face.box
        assert tuple(drawn[_MARGIN + int(box.bottom), _MARGIN + int(box.left + SIDE / 2)]) == colour
        assert tuple(drawn[_MARGIN + int(box.top + SIDE / 2), _MARGIN + int(box.right)]) == colour


def test_landmarks_are_dots_with_a_colour_per_side() -> None:
    face = _face()
    drawn = _rgb(draw(_photo(), [face], [_finding(face)], _POLICY))
    dots = [tuple(drawn[_MARGIN + round(y), _MARGIN + round(x)]) for x, y in face.landmarks.tolist()]
    assert dots[0] == dots[3]
    assert dots[1] == dots[4]
    assert len({*dots, (60, 60, 60)}) == 4


@pytest.mark.parametrize(
    ("size", "photo"),
    [
        ((400, PHOTO_WIDTH), (400, PHOTO_WIDTH)),
        ((4000, 3000), (900, 675)),
        ((300, 4000), (64, PHOTO_WIDTH)),
        ((100, 100), (300, 300)),
    ],
)
def test_the_photo_is_scaled_to_fit_and_centred_above_the_rows(size: tuple[int, int], photo: tuple[int, int]) -> None:
    face = _face(0, 0)
    drawn = draw(_photo(*size), [face], [_finding(face)], _POLICY)
    assert photo[0] <= PHOTO_HEIGHT
    assert drawn.shape[:2] == (photo[0] + LEGEND_HEIGHT + _ROW_HEIGHT + 3 * _MARGIN, PHOTO_WIDTH + 2 * _MARGIN)
    middle = _rgb(drawn)[_MARGIN + photo[0] - 1]
    margin = (drawn.shape[1] - photo[1]) // 2
    assert (middle[:margin] == BACKGROUND).all()
    assert (middle[margin + photo[1] :] == BACKGROUND).all()
    assert middle[margin].tolist() != list(BACKGROUND)
    assert middle[margin + photo[1] - 1].tolist() == [60, 60, 60]


def test_the_legend_shows_every_colour() -> None:
    face = _face()
    drawn = _rgb(draw(_photo(), [face], [_finding(face)], _POLICY))
    legend = drawn[400 + 2 * _MARGIN : 400 + 2 * _MARGIN + LEGEND_HEIGHT].reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(legend, axis=0).tolist()}
    dots = {tuple(drawn[_MARGIN + round(y), _MARGIN + round(x)].tolist()) for x, y in face.landmarks.tolist()}
    assert {COMPARED, SHOWN, OTHER, *_SEVERITY_COLOURS.values(), *dots, (255, 0, 0)} <= colours


def test_covered_cells_are_red_and_pixels_outside_the_photo_are_grey() -> None:
    face = _face()
    drawn = _rgb(draw(_photo(), [face], [_finding(face)], _POLICY))
    left, top = _MARGIN + SIDE + _MARGIN, 400 + _CROPS_TOP
    visible, covered, outside = (drawn[top + y, left + x].tolist() for x, y in ((150, 20), (150, 200), (20, 200)))
    assert visible == [120, 120, 120]
    assert covered[0] > 180
    assert covered[1] == covered[2] < 60
    assert len(set(outside)) == 1
    assert outside != visible


@pytest.mark.parametrize(("mouth", "severity"), [(51, Severity.NONE), (50, Severity.SEVERE)])
def test_a_region_is_outlined_in_the_colour_of_its_band(mouth: int, severity: Severity) -> None:
    face = _face()
    drawn = _rgb(draw(_photo(), [face], [_finding(face, mouth=mouth)], _POLICY))
    left, top = _MARGIN + SIDE + _MARGIN, 400 + _CROPS_TOP
    mouth_of_crop = drawn[top + 145 : top + 172, left + 80 : left + 144].reshape(-1, 3)
    assert (mouth_of_crop == _SEVERITY_COLOURS[severity]).all(axis=1).sum() > 50


def test_long_texts_stay_within_their_row_and_the_sheet() -> None:
    problems = ("extreme blurriness", "excessive brightness", *(f"covered {name}" for name in ("eyebrows",) * 6))
    face = _face()
    finding = _finding(face, problems=problems)
    drawn = draw(_photo(), [face], [finding, replace(finding, is_compared=False)], _POLICY)
    assert (drawn[:, -_MARGIN:] == 255).all()
    second_row = 400 + 2 * _MARGIN + LEGEND_HEIGHT + _ROW_HEIGHT
    assert (drawn[second_row - 8 : second_row] == 255).all()
    last_lines = drawn[second_row - 50 : second_row - 8]
    assert (last_lines < 100).any(), "the problems need a second line"
