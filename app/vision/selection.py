"""Which of a picture's faces is compared."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import Face, Image, MatchingStrategy
from app.errors import ApiError, ErrorCode


def select(faces: Sequence[Face], image: Image, strategy: MatchingStrategy, clear: float) -> Face:
    """Return the face of ``image`` to compare; no faces: ``NoFaceInPhoto``.

    The largest is the one of which most square pixels lie in the picture, among those of at least the confidence
    ``clear``: a neighbour cut off by the edge is seldom the one meant. Without a clear face all take part. Ties go
    to the more confident, then to the first.
    """
    if not faces:
        raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
    if strategy is MatchingStrategy.MOST_CONFIDENT:
        return max(faces, key=lambda face: face.confidence)
    height, width = image.shape[:2]
    candidates = [face for face in faces if face.confidence >= clear] or faces
    return max(candidates, key=lambda face: (face.box.within(width, height).area, face.confidence))
