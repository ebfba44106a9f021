"""Face in a picture -> the crop on which quality is measured.

All measures look at the same crop, in which the eyes are 60 pixels apart: a number then does not depend on the size
of the photo, and a face enlarged from few pixels is as blurry as it looks. The crop shows the whole face from the
forehead to below the chin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Image, Landmarks
from app.vision.align import align

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
    """``image``: SIDE x SIDE x 3, uint8, BGR. ``inside``: SIDE x SIDE, bool: the pixels that the picture has."""

    image: Crop
    inside: NDArray[np.bool_]


def quality_crop(image: Image, landmarks: Landmarks) -> QualityCrop:
    """Bring the face with ``landmarks`` into the standard position; what lies outside the picture is black."""
    crop = align(image, landmarks, TEMPLATE, SIDE)
    inside = align(np.full(image.shape, 255, np.uint8), landmarks, TEMPLATE, SIDE)[..., 0] > 127  # noqa: PLR2004
    return QualityCrop(crop, inside)
