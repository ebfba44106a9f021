"""A picture and what is found of its faces -> one picture that shows both.

Left the photo with all bounding boxes and landmarks. Right a row for each finding: the quality crop, the same with the
regions outlined, the same under the visibility map (red: covered, grey: outside the photo), and the quality table.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from app.domain import Box, Crop, Face, Image, QualityPolicy
from app.tools.inspect.findings import Finding, Measure, conclusion, headline, measures
from app.vision.quality.assess import QualityAssessment
from app.vision.quality.bands import COMPLETENESS, Severity
from app.vision.quality.crop import SIDE
from app.vision.quality.regions import POLYGONS

PHOTO_WIDTH, PHOTO_HEIGHT = 800, 900
"""Pixels that the photo may take."""
_LARGEST_SCALE = 3.0
_MARGIN, _LINE, _TABLE_WIDTH = 16, 24, 380
_ROW_WIDTH = 3 * (SIDE + _MARGIN) + _TABLE_WIDTH
_ROW_HEIGHT = SIDE + 5 * _LINE
_CHARACTERS = 120
"""That fit into a row."""

BACKGROUND, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (205, 205, 205)
COMPARED, SHOWN, OTHER = (0, 200, 0), (30, 110, 255), (255, 255, 255)
"""Colours of bounding boxes, RGB as all of this module: the compared face, further rows, the rest."""
_LEFT, _RIGHT, _NOSE = (255, 215, 0), (255, 0, 200), (0, 230, 255)
_LANDMARKS = (_LEFT, _RIGHT, _NOSE, _LEFT, _RIGHT)
_SEVERITIES = {Severity.NONE: (40, 160, 60), Severity.MILD: (240, 160, 0), Severity.SEVERE: (215, 30, 30)}
_RED, _OUTSIDE = (255, 0, 0), (110, 110, 110)
_FONT = ImageFont.load_default(16)
_STROKE, _THIN = 4, 2


def draw(image: Image, faces: Sequence[Face], findings: Sequence[Finding], policy: QualityPolicy) -> Image:
    """Draw ``findings``, of some of the ``faces`` of ``image``; ``policy`` is the one in force. BGR."""
    photo = _photo(image, faces, findings)
    height = max(photo.height, len(findings) * _ROW_HEIGHT) + 2 * _MARGIN
    sheet = Pillow.new("RGB", (photo.width + _ROW_WIDTH + 3 * _MARGIN, height), BACKGROUND)
    sheet.paste(photo, (_MARGIN, _MARGIN))
    for number, finding in enumerate(findings, start=1):
        top = _MARGIN + (number - 1) * _ROW_HEIGHT
        _row(sheet, photo.width + 2 * _MARGIN, top, number, finding, policy)
    return np.ascontiguousarray(np.asarray(sheet)[..., ::-1])


def _photo(image: Image, faces: Sequence[Face], findings: Sequence[Finding]) -> Pillow.Image:
    height, width = image.shape[:2]
    scale = min(PHOTO_WIDTH / width, PHOTO_HEIGHT / height, _LARGEST_SCALE)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = _pillow(np.asarray(cv2.resize(image, size, interpolation=kind), dtype=np.uint8))
    pen = ImageDraw.Draw(photo)
    rows = {id(finding.face): number for number, finding in enumerate(findings, start=1)}
    compared = {id(finding.face) for finding in findings if finding.is_compared}
    for face in sorted(faces, key=lambda face: (id(face) in compared, id(face) in rows)):  # the compared one on top
        colour = COMPARED if id(face) in compared else SHOWN if id(face) in rows else OTHER
        _face(pen, face, scale, colour)
        if id(face) in rows:
            _tag(pen, face.box, scale, str(rows[id(face)]), colour)
    return photo


def _face(pen: ImageDraw.ImageDraw, face: Face, scale: float, colour: tuple[int, int, int]) -> None:
    box = face.box
    pen.rectangle(
        tuple(edge * scale for edge in (box.left, box.top, box.right, box.bottom)),
        outline=colour,
        width=_THIN if colour == OTHER else _STROKE,
    )
    radius = float(np.clip((box.right - box.left) * scale / 40, 2, 5))
    for (x, y), shade in zip(face.landmarks.astype(float) * scale, _LANDMARKS, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)


def _tag(pen: ImageDraw.ImageDraw, box: Box, scale: float, text: str, colour: tuple[int, int, int]) -> None:
    left, top = max(0.0, box.left * scale), max(0.0, box.top * scale)
    pen.rectangle((left, top, left + 18, top + 20), fill=colour)
    pen.text((left + 9, top + 10), text, font=_FONT, fill=BACKGROUND, anchor="mm")


def _row(sheet: Pillow.Image, left: int, top: int, number: int, finding: Finding, policy: QualityPolicy) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((left, top), headline(number, finding), font=_FONT, fill=_INK)
    top += _LINE
    pictures = (
        finding.assessment.crop.image[..., ::-1],
        _outlined(finding.assessment),
        _heated(finding.assessment),
    )
    for column, picture in enumerate(pictures):
        sheet.paste(Pillow.fromarray(np.ascontiguousarray(picture)), (left + column * (SIDE + _MARGIN), top))
    for place, measure in enumerate(measures(finding.assessment.quality)):
        _bar(pen, left + 3 * (SIDE + _MARGIN), top + place * _LINE, measure)
    problems = f"Problems: {', '.join(finding.problems) or 'none'}"
    for place, line in enumerate([conclusion(finding, policy), *wrap(problems, _CHARACTERS)]):
        pen.text((left, top + SIDE + 4 + place * _LINE), line, font=_FONT, fill=_INK)


def _bar(pen: ImageDraw.ImageDraw, left: int, top: int, measure: Measure) -> None:
    start, width = left + 130, 130
    colour = _SEVERITIES[measure.band.severity]
    pen.text((left, top), measure.name, font=_FONT, fill=_INK)
    pen.text((start - 8, top), str(measure.value), font=_FONT, fill=_INK, anchor="ra")
    pen.rectangle((start, top + 4, start + width, top + 16), fill=_FAINT)
    pen.rectangle((start, top + 4, start + width * measure.value / 100, top + 16), fill=colour)
    for band in measure.bands[:-1]:
        edge = start + width * (band.last + 1) / 100
        pen.line((edge, top + 1, edge, top + 19), fill=_INK)
    pen.text((start + width + 10, top), measure.band.word, font=_FONT, fill=colour)


def _outlined(assessment: QualityAssessment) -> Crop:
    drawn = assessment.crop.image[..., ::-1].copy()
    for measure in measures(assessment.quality)[-len(COMPLETENESS) :]:
        corners = [np.array(polygon, np.int32) for polygon in POLYGONS[measure.name.lower()]]
        cv2.polylines(drawn, corners, True, _SEVERITIES[measure.band.severity], 2, cv2.LINE_AA)
    return drawn


def _heated(assessment: QualityAssessment) -> Crop:
    crop, inside = assessment.crop.image[..., ::-1], assessment.crop.inside[..., None]
    hidden = cv2.resize(1 - assessment.visible, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)[..., None]
    share: NDArray[np.float32] = 0.6 * hidden
    heat = crop * (1 - share) + np.array(_RED, np.float32) * share
    return np.where(inside, heat, np.array(_OUTSIDE, np.float32)).astype(np.uint8)


def _pillow(image: Image) -> Pillow.Image:
    return Pillow.fromarray(np.ascontiguousarray(image[..., ::-1]))
