"""Pictures whose face stands sideways or upside down, without EXIF to say so (``NeedRotateDetection``)."""

from __future__ import annotations

import numpy as np

from app.domain import Face, Image
from app.vision.detect.base import Detector

_TURNS = (0, 1, 3, 2)
"""Quarter turns counter-clockwise, likeliest first."""


def find_faces(detector: Detector, image: Image, *, rotate: bool) -> tuple[Image, list[Face]]:
    """Detect faces in ``image`` as it is or, with ``rotate``, in the quarter turn that shows upright faces best.

    Return the picture as it was looked at and its faces. The turns stop at the first one with an upright face
    (eyes above the mouth, rolled by less than 45 degrees); failing that, the most confident detection wins.
    """
    faces = detector.detect(image)
    if not rotate or any(map(is_upright, faces)):
        return image, faces
    tried = [(image, faces)]
    for turn in _TURNS[1:]:
        turned = np.ascontiguousarray(np.rot90(image, turn))
        faces = detector.detect(turned)
        if any(map(is_upright, faces)):
            return turned, faces
        tried.append((turned, faces))
    return max(tried, key=lambda one: max((face.confidence for face in one[1]), default=0.0))


def is_upright(face: Face) -> bool:
    """Whether the mouth lies below the eyes, by more than it lies beside them."""
    down = face.landmarks[3:].mean(axis=0) - face.landmarks[:2].mean(axis=0)
    return bool(down[1] > abs(down[0]))
