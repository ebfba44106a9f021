"""Draw the result of an inspection as one image.

Top: the photo with all bounding boxes and landmarks. Below: a legend, and a row for each finding. It has the quality
crop, the crop with outlined regions and its visibility map, and the quality table. In the visibility map, covered parts
are red, and parts outside the photo are grey.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from app.domain import Crop, Face, Image, QualityPolicy
from app.tools.inspect.findings import Finding, QualityRow, conclusion, headline, problems_line, quality_rows
from app.vision.quality.assessment import QualityAssessment, Severity
from app.vision.quality.crop import REGIONS, SIDE

_Colour: TypeAlias = tuple[int, int, int]
"""RGB."""

_MAX_SCALE = 3.0
_MARGIN, _LINE_HEIGHT, _TABLE_WIDTH = 16, 24, 380
_ROW_WIDTH = 2 * (SIDE + _MARGIN) + _TABLE_WIDTH
_ROW_HEIGHT = SIDE + 5 * _LINE_HEIGHT
PHOTO_WIDTH, PHOTO_HEIGHT = _ROW_WIDTH, 900
"""Maximum size of the photo in pixels."""
_CHARACTERS_PER_LINE = 105

BACKGROUND, _TEXT_COLOUR, _EMPTY_BAR = (255, 255, 255), (30, 30, 30), (205, 205, 205)
COMPARED, SHOWN, OTHER = (0, 200, 0), (30, 110, 255), (255, 255, 255)
"""Colours of bounding boxes: the compared face, the other faces with a row, the rest."""
_LEFT, _RIGHT, _NOSE = (255, 215, 0), (255, 0, 200), (0, 230, 255)
_LANDMARK_COLOURS = (_LEFT, _RIGHT, _NOSE, _LEFT, _RIGHT)
_SEVERITY_COLOURS = {Severity.NONE: (40, 160, 60), Severity.MILD: (240, 160, 0), Severity.SEVERE: (215, 30, 30)}
_COVERED, _OUTSIDE = (255, 0, 0), (110, 110, 110)
_LEGEND: tuple[tuple[str, tuple[tuple[_Colour, str], ...]], ...] = (
    ("Boxes:", ((COMPARED, "compared face"), (SHOWN, "other face with a row below"), (OTHER, "other face"))),
    ("Dots:", ((_LEFT, "eye and mouth corner on the left"), (_RIGHT, "on the right"), (_NOSE, "tip of the nose"))),
    ("Left crop: the face in standard position, as it is measured. Right crop: its regions, and what hides them.", ()),
    (
        "Regions, bars:",
        (
            (_SEVERITY_COLOURS[Severity.NONE], "no problem"),
            (_SEVERITY_COLOURS[Severity.MILD], "mild problem"),
            (_SEVERITY_COLOURS[Severity.SEVERE], "severe problem"),
        ),
    ),
    ("Black line in a bar: limit between two grades.", ()),
    ("Right crop:", ((_COVERED, "covered"), (_OUTSIDE, "outside the photo"))),
)
"""Lines of a title and of colours with their meaning."""
LEGEND_HEIGHT = (len(_LEGEND) + 1) * _LINE_HEIGHT
_FONT = ImageFont.load_default(16)
_THICK, _THIN = 4, 2


def draw(image: Image, faces: Sequence[Face], findings: Sequence[Finding], policy: QualityPolicy) -> Image:
    """Return a drawing of ``findings``, which are some of the ``faces`` of ``image``.

    ``policy`` is the configured policy of QualityControl.
    """
    photo = _photo(image, faces, findings)
    legend_top = photo.height + 2 * _MARGIN
    rows_top = legend_top + LEGEND_HEIGHT
    sheet = Pillow.new("RGB", (_ROW_WIDTH + 2 * _MARGIN, rows_top + len(findings) * _ROW_HEIGHT + _MARGIN), BACKGROUND)
    sheet.paste(photo, ((sheet.width - photo.width) // 2, _MARGIN))
    _draw_legend(ImageDraw.Draw(sheet), legend_top)
    for number, finding in enumerate(findings, start=1):
        _draw_row(sheet, rows_top + (number - 1) * _ROW_HEIGHT, number, finding, policy)
    return _swap_channels(np.asarray(sheet))


def _photo(image: Image, faces: Sequence[Face], findings: Sequence[Finding]) -> Pillow.Image:
    height, width = image.shape[:2]
    scale = min(PHOTO_WIDTH / width, PHOTO_HEIGHT / height, _MAX_SCALE)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = Pillow.fromarray(_swap_channels(cv2.resize(image, size, interpolation=interpolation)))
    pen = ImageDraw.Draw(photo)
    row_of_face = {id(finding.face): number for number, finding in enumerate(findings, start=1)}
    compared = {id(finding.face) for finding in findings if finding.is_compared}
    for face in sorted(faces, key=lambda face: (id(face) in compared, id(face) in row_of_face)):  # compared on top
        colour = COMPARED if id(face) in compared else SHOWN if id(face) in row_of_face else OTHER
        _draw_face(pen, face.scaled(scale), colour, row_of_face.get(id(face)))
    return photo


def _draw_face(pen: ImageDraw.ImageDraw, face: Face, colour: _Colour, number: int | None) -> None:
    box = face.box
    width = _THIN if colour == OTHER else _THICK
    pen.rectangle((box.left, box.top, box.right, box.bottom), outline=colour, width=width)
    radius = float(np.clip((box.right - box.left) / 40, 2, 5))
    for landmark, landmark_colour in zip(face.landmarks.tolist(), _LANDMARK_COLOURS, strict=True):
        pen.circle(landmark, radius, fill=landmark_colour)
    if number is not None:
        left, top = max(0.0, box.left), max(0.0, box.top)
        pen.rectangle((left, top, left + 18, top + 20), fill=colour)
        pen.text((left + 9, top + 10), str(number), font=_FONT, fill=BACKGROUND, anchor="mm")


def _draw_legend(pen: ImageDraw.ImageDraw, top: int) -> None:
    for title, entries in _LEGEND:
        pen.text((_MARGIN, top), title, font=_FONT, fill=_TEXT_COLOUR)
        left = _MARGIN + pen.textlength(title, font=_FONT)
        for colour, text in entries:
            left += 20
            pen.rectangle((left, top + 3, left + 14, top + 17), fill=colour, outline=_TEXT_COLOUR)
            pen.text((left + 20, top), text, font=_FONT, fill=_TEXT_COLOUR)
            left += 20 + pen.textlength(text, font=_FONT)
        top += _LINE_HEIGHT


def _draw_row(sheet: Pillow.Image, top: int, number: int, finding: Finding, policy: QualityPolicy) -> None:
    pen, left = ImageDraw.Draw(sheet), _MARGIN
    assessment = finding.assessment
    rows = quality_rows(assessment.quality)
    crop = _swap_channels(assessment.crop.image)
    pen.text((left, top), headline(number, finding), font=_FONT, fill=_TEXT_COLOUR)
    top += _LINE_HEIGHT
    for column, image in enumerate((crop, _with_regions(_with_visibility(crop, assessment), rows))):
        sheet.paste(Pillow.fromarray(image), (left + column * (SIDE + _MARGIN), top))
    for index, row in enumerate(rows):
        _draw_bar(pen, left + 2 * (SIDE + _MARGIN), top + index * _LINE_HEIGHT, row)
    lines = [conclusion(finding, policy), *wrap(problems_line(finding), _CHARACTERS_PER_LINE)]
    for index, line in enumerate(lines):
        pen.text((left, top + SIDE + 4 + index * _LINE_HEIGHT), line, font=_FONT, fill=_TEXT_COLOUR)


def _draw_bar(pen: ImageDraw.ImageDraw, left: int, top: int, row: QualityRow) -> None:
    start, width = left + 130, 130
    colour = _SEVERITY_COLOURS[row.band.severity]
    pen.text((left, top), row.name, font=_FONT, fill=_TEXT_COLOUR)
    pen.text((start - 8, top), str(row.value), font=_FONT, fill=_TEXT_COLOUR, anchor="ra")
    pen.rectangle((start, top + 4, start + width, top + 16), fill=_EMPTY_BAR)
    pen.rectangle((start, top + 4, start + width * row.value / 100, top + 16), fill=colour)
    for band in row.bands[:-1]:
        edge = start + width * (band.upper + 1) / 100
        pen.line((edge, top + 1, edge, top + 19), fill=_TEXT_COLOUR)
    pen.text((start + width + 10, top), row.band.label, font=_FONT, fill=colour)


def _with_regions(crop: Crop, rows: Sequence[QualityRow]) -> Crop:
    """Return the crop (RGB) with each region outlined in the colour of its severity."""
    outlined = crop.copy()
    for row in rows[-len(REGIONS) :]:
        polygons = [np.array(polygon, np.int32) for polygon in REGIONS[row.name.lower()]]
        cv2.polylines(outlined, polygons, True, _SEVERITY_COLOURS[row.band.severity], 2, cv2.LINE_AA)
    return outlined


def _with_visibility(crop: Crop, assessment: QualityAssessment) -> Crop:
    """Return the crop (RGB) with covered cells in red and pixels outside the photo in grey."""
    covered = cv2.resize(1 - assessment.visibility, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)[..., None]
    opacity: NDArray[np.float32] = 0.6 * covered
    blended = crop * (1 - opacity) + np.array(_COVERED, np.float32) * opacity
    return np.where(assessment.crop.inside[..., None], blended, np.array(_OUTSIDE, np.float32)).astype(np.uint8)


def _swap_channels(image: NDArray[Any]) -> Image:
    """Return a BGR image as RGB, or an RGB image as BGR."""
    return np.ascontiguousarray(image[..., ::-1])
