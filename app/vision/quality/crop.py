"""Face in a picture -> the crop on which quality is measured.

All measures look at the same crop, in which the eyes are 60 pixels apart: a number then does not depend on the size
of the photo, and a face enlarged from few pixels is as blurry as it looks. The crop shows the whole face from the
forehead to below the chin.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Image, Landmarks
from app.vision.align import align, similarity
from app.vision.pose import pose

SIDE = 224
"""Pixels of the crop's sides."""

EYE_DISTANCE = 60.0
"""Pixels between the eyes, of a face seen from the front."""

# insightface's template for 112 x 112 (python-package/insightface/utils/face_align.py), enlarged and centred.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_SCALE = EYE_DISTANCE / (73.5318 - 38.2946)

TEMPLATE: NDArray[np.float32] = (_ARCFACE * _SCALE + [(SIDE - 112 * _SCALE) / 2, 0]).astype(np.float32)
"""Where the five landmarks lie in the crop: 5 x 2, pixels."""


class QualityCrop(NamedTuple):
    """``image``: SIDE x SIDE x 3, uint8, BGR. ``inside``: SIDE x SIDE, bool: the pixels that the picture has.

    ``yaw``: degrees, above 0 the face looks to the viewer's right.
    """

    image: Crop
    inside: NDArray[np.bool_]
    yaw: float = 0.0


def quality_crop(image: Image, landmarks: Landmarks) -> QualityCrop:
    """Bring the face with ``landmarks`` into the standard position; what lies outside the picture is black."""
    crop = align(image, landmarks, TEMPLATE, SIDE)
    return QualityCrop(crop, _inside(image, landmarks), pose(landmarks, pitch_offset=0).yaw)


def _inside(image: Image, landmarks: Landmarks) -> NDArray[np.bool_]:
    """Return which pixels of the crop have their centre in ``image``."""
    back = cv2.invertAffineTransform(similarity(landmarks, TEMPLATE))
    x, y = (row[0] * _X + row[1] * _Y + row[2] for row in np.asarray(back))
    height, width = image.shape[:2]
    return np.asarray((x >= _EDGE) & (x < width + _EDGE) & (y >= _EDGE) & (y < height + _EDGE))


_Y, _X = np.mgrid[:SIDE, :SIDE]
_EDGE = -0.5
"""Where a picture begins: the centre of its first pixel is 0."""
