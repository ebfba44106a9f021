"""Measure the brightness of a face, 0-100.

It is the mean lightness (CIE L*, of OFIQ's luminance) of the visible face. L* is perceptually uniform, so a dark face
in good light is far brighter than a face in the dark. Black and overexposed pixels count extra: a face that is half
black is dim.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import FACE_OUTLINE, SIDE, QualityCrop, polygon_mask
from app.vision.quality.visibility import VISIBLE, VisibilityMap

_BLACK, _OVEREXPOSED = 25, 247
"""Highest value of an underexposed pixel, and lowest value of an overexposed pixel (OFIQ)."""
_LIGHTNESS = (0.0, 22.0, 55.0, 82.0, 100.0)
"""L* of: black; a bit below the darkest faces in good light (LFW and London: at least 25); a typical face; a bit above
the lightest faces in good light (LFW: 99 % below 76); white."""
_POINTS = (0.0, 30.0, 50.0, 70.0, 100.0)
"""Points for each ``_LIGHTNESS``; 30 to 70 is the vendor's normal band."""
_MIN_VISIBLE = 0.02
"""Share of the face that must be visible; below it, the covered parts are measured, too."""

_FACE = polygon_mask([FACE_OUTLINE]).astype(bool)
_LUMINANCE_OF_BGR = np.array([0.0722, 0.7152, 0.2126], np.float32)


def measure_brightness(crop: QualityCrop, visibility: VisibilityMap) -> int:
    """Return the brightness, 0-100; 30 to 70 is normal, 0 is a face outside the image."""
    face = _FACE & crop.inside
    visible = face & (cv2.resize(visibility, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > VISIBLE)
    pixels = crop.image[visible if visible.sum() > _MIN_VISIBLE * _FACE.sum() else face]
    if not len(pixels):
        return 0
    luminance = _LINEAR[pixels] @ _LUMINANCE_OF_BGR
    lightness = float(_lightness(luminance).mean())
    lightness *= 1 - float((luminance <= _LINEAR[_BLACK]).mean())
    lightness += (100 - lightness) * float((luminance >= _LINEAR[_OVEREXPOSED]).mean())
    return round(float(np.interp(lightness, _LIGHTNESS, _POINTS)))


def _linear(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return linear light of sRGB ``values``, both in [0, 1] (IEC 61966-2-1)."""
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    return linear.astype(np.float32)


def _lightness(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return L*, 0-100, of ``luminance`` in [0, 1] (CIE 15)."""
    is_dark = luminance <= 216 / 24389
    return np.where(is_dark, luminance * (24389 / 27), 116 * np.cbrt(luminance) - 16)


_LINEAR = _linear(np.arange(256) / 255)
