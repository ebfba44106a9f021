"""Which of a picture's faces is compared; which is larger than which; which is one that was found before."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import Box, Face, Image, MatchingStrategy
from app.errors import ApiError, ErrorCode

COMPARABLE = 0.5
"""Share of the largest face's area, from which a clear face may be preferred."""
_SAME = 0.3
"""Intersection over union from which boxes of two searches are of one face."""


def largest_first(faces: Sequence[Face], image: Image) -> list[Face]:
    """Return them by how many of their square pixels lie in ``image``, largest first; equals stay in order."""
    height, width = image.shape[:2]
    return sorted(faces, key=lambda face: face.box.within(width, height).area, reverse=True)


def select(faces: Sequence[Face], image: Image, strategy: MatchingStrategy, clear: float) -> Face:
    """Return the face of ``image`` to compare; no faces: ``NoFaceInPhoto``.

    The largest is the one of which most square pixels lie in the picture. A face of less than the confidence ``clear``
    gives way to a clear one of comparable size: a neighbour who is cut off or out of focus is seldom the one meant.
    Ties go to the more confident, then to the first.
    """
    if not faces:
        raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
    if strategy is MatchingStrategy.MOST_CONFIDENT:
        return max(faces, key=lambda face: face.confidence)
    height, width = image.shape[:2]
    areas = [face.box.within(width, height).area for face in faces]
    comparable = [
        (face.confidence >= clear, area, face.confidence, face)
        for face, area in zip(faces, areas, strict=True)
        if area >= COMPARABLE * max(areas)
    ]
    return max(comparable, key=lambda candidate: candidate[:3])[3]


def found_again(faces: Sequence[Face], box: Box) -> Face | None:
    """Return the one of ``faces`` whose place is ``box``, as another search found it; None where nobody's is."""
    nearest = max(faces, key=lambda face: face.box.overlap(box), default=None)
    return nearest if nearest is not None and nearest.box.overlap(box) >= _SAME else None
