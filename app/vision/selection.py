"""Select a face of an image: the target face, the largest, or the best match of a box."""

from collections.abc import Sequence

from app.domain import Box, Face, Image, MatchingStrategy

MIN_AREA_RATIO = 0.5
"""Minimum share of the largest visible area for another face to be of comparable size."""
_MIN_IOU = 0.3  # minimum IoU of the boxes of two detections of one face


class NoFaceError(Exception):
    """The image shows no face. The text, if there is one, is the reason for the access log."""


class RotatedFaceError(NoFaceError):
    """The face does not stand upright, and the request does not ask for rotation."""

    def __init__(self) -> None:
        super().__init__("the face seems rotated; NeedRotateDetection 1 detects rotated faces")


def visible_area(face: Face, image: Image) -> float:
    """Return the area of the part of the face's box inside ``image``, in square pixels."""
    height, width = image.shape[:2]
    return face.box.clipped(width, height).area


def largest_first(faces: Sequence[Face], image: Image) -> list[Face]:
    """Return the faces by visible area, largest first; faces of equal area keep their order."""
    return sorted(faces, key=lambda face: visible_area(face, image), reverse=True)


def select_target(faces: Sequence[Face], image: Image, strategy: MatchingStrategy, selection_confidence: float) -> Face:
    """Return the target face of ``image``; raise :class:`NoFaceError` if ``faces`` is empty.

    ``LARGEST`` selects the largest visible area, but prefers a face of comparable size with ``selection_confidence`` to
    a face without. A larger face that is cut off or out of focus is seldom the intended person. Among equal areas the
    highest confidence is selected, then the first face.
    """
    if not faces:
        raise NoFaceError
    if strategy is MatchingStrategy.MOST_CONFIDENT:
        return max(faces, key=lambda face: face.confidence)

    def rank(face: Face) -> tuple[bool, float, float]:
        return face.confidence >= selection_confidence, visible_area(face, image), face.confidence

    min_area = MIN_AREA_RATIO * max(visible_area(face, image) for face in faces)
    return max((face for face in faces if visible_area(face, image) >= min_area), key=rank)


def match_by_iou(faces: Sequence[Face], box: Box) -> Face | None:
    """Return the face with the highest IoU with ``box``, or None if every IoU is below 0.3."""
    best = max(faces, key=lambda face: face.box.iou(box), default=None)
    return best if best and best.box.iou(box) >= _MIN_IOU else None
