"""Select a face of an image: the target face, the largest, or the best match of a box."""

import math
from collections.abc import Callable, Sequence
from operator import itemgetter

from app.domain import Box, Face, Image, MatchingStrategy, TargetNote

MIN_AREA_RATIO = 0.5
"""Minimum share of the target face's visible area for another face to be of comparable size."""
_DOUBT_RANGE = 0.2  # confidence below the selection confidence at which the area of a face counts half
_MAX_MEASURED = 8  # faces that are measured again; bounds the work on a photo of many people
_MIN_IOU = 0.3  # minimum IoU of the boxes of two detections of one face


class NoFaceError(Exception):
    """The image shows no face. The text, if there is one, is the reason for the access log."""


class RotatedFaceError(NoFaceError):
    """The face does not stand upright, and the request does not ask for rotation."""

    def __init__(self) -> None:
        super().__init__("the face seems rotated; NeedRotateDetection 1 (`--rotate`) detects rotated faces")


def visible_area(face: Face, image: Image) -> float:
    """Return the area of the part of the face's box inside ``image``, in square pixels."""
    height, width = image.shape[:2]
    return face.box.clipped(width, height).area


def largest_first(faces: Sequence[Face], image: Image) -> list[Face]:
    """Return the faces by visible area, largest first; faces of equal area keep their order."""
    return sorted(faces, key=lambda face: visible_area(face, image), reverse=True)


def select_target(
    faces: Sequence[Face],
    image: Image,
    strategy: MatchingStrategy,
    selection_confidence: float,
    measure: Callable[[Face, Image], float] = visible_area,
) -> Face:
    """Return the target face of ``image``; raise :class:`NoFaceError` if ``faces`` is empty.

    ``LARGEST`` selects the largest visible area. Of faces with comparable areas, the one near the centre of the image
    is preferred, and one with ``selection_confidence``: the area of a face counts half in a corner of the image, or if
    its confidence is lower by 0.2 or more. A face with more than twice the area therefore always wins. ``measure``: a
    more exact area in square pixels, used for at most eight faces whose areas are comparable.
    """
    if not faces:
        raise NoFaceError
    if strategy is MatchingStrategy.MOST_CONFIDENT:
        return max(faces, key=lambda face: face.confidence)

    def rank(face: Face, area: float) -> tuple[float, float]:
        return area * _weight(face, image, selection_confidence), face.confidence

    ranked = sorted(((rank(face, visible_area(face, image)), face) for face in faces), key=itemgetter(0), reverse=True)
    (highest, _), _ = ranked[0]
    rivals = [face for (value, _), face in ranked[:_MAX_MEASURED] if value >= MIN_AREA_RATIO * highest]
    return rivals[0] if len(rivals) == 1 else max(rivals, key=lambda face: rank(face, measure(face, image)))


def _weight(face: Face, image: Image, selection_confidence: float) -> float:
    """Return the factor of a face's area: 1 in the centre, down to 0.5 in a corner or with a low confidence."""
    height, width = image.shape[:2]
    box = face.box
    offset = math.hypot(box.left + box.right - width, box.top + box.bottom - height) / math.hypot(width, height)
    doubt = max(0.0, selection_confidence - face.confidence) / _DOUBT_RANGE
    return math.pow(MIN_AREA_RATIO, min(1.0, offset + doubt))


def target_notes(
    target: Face, faces: Sequence[Face], image: Image, selection_confidence: float
) -> tuple[TargetNote, ...]:
    """Return the notes about the choice of ``target``, which ``LARGEST`` selected from ``faces``."""
    area = visible_area(target, image)
    others = [face for face in faces if face is not target and visible_area(face, image) >= MIN_AREA_RATIO * area]
    largest = max(others, key=lambda face: visible_area(face, image), default=target)
    is_skipped = visible_area(largest, image) > area and largest.confidence < selection_confidence
    return (*((TargetNote.COMPARABLE_FACE,) if others else ()), *((TargetNote.DOUBTFUL_FACE,) if is_skipped else ()))


def match_by_iou(faces: Sequence[Face], box: Box) -> Face | None:
    """Return the face with the highest IoU with ``box``, or None if every IoU is below 0.3."""
    best = max(faces, key=lambda face: face.box.iou(box), default=None)
    return best if best and best.box.iou(box) >= _MIN_IOU else None
