"""Quality crop and visibility map -> how bright the face is, 0-100.

The mean lightness (CIE L*, of OFIQ's luminance) of the face where nothing covers it. L* and not luminance, because
it is even to the eye: a well-lit dark face then lies far above a face in the dark. The share that is black, or blown
out, counts on top: a face lit from one side, half of it black, is dim, since half of it cannot be recognised.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.completeness import VISIBLE
from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.regions import FACE

_BLACK, _BLOWN_OUT = 25, 247
"""Values of a pixel up to which it is under-exposed, and from which it is over-exposed; OFIQ's."""
_LIGHT = (0.0, 22.0, 55.0, 82.0, 100.0)
"""L* of a face: none; the darkest faces of people in good light (LFW, London: 25 and more) and a little below; the
usual; the lightest in good light (LFW: 99 % below 76) and a little above; white."""
_POINTS = (0.0, 30.0, 50.0, 70.0, 100.0)
"""What these are worth; 30 to 70 is the vendor's normal band."""
_LEAST = 0.02
"""Share of the face that must be visible; the light on whatever covers the rest counts if less is."""

_FACE = cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [np.array(FACE, np.int32)], 1).astype(bool)
_LUMINANCE_OF_BGR = np.array([0.0722, 0.7152, 0.2126], np.float32)


def brightness(crop: QualityCrop, visible: NDArray[np.float32]) -> int:
    """Return 0-100; 30 to 70 is normal. 0 for a face that lies outside the picture.

    ``visible`` as ``Visibility.map`` gives it.
    """
    face = _FACE & crop.inside
    shown = face & (cv2.resize(visible, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > VISIBLE)
    pixels = crop.image[shown if shown.sum() > _LEAST * _FACE.sum() else face]
    if not len(pixels):
        return 0
    luminance = _LINEAR[pixels] @ _LUMINANCE_OF_BGR
    light = float(_lightness(luminance).mean())
    light *= 1 - float((luminance <= _LINEAR[_BLACK]).mean())
    light += (100 - light) * float((luminance >= _LINEAR[_BLOWN_OUT]).mean())
    return round(float(np.interp(light, _LIGHT, _POINTS)))


def _linear(value: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return sRGB values in [0, 1] as shares of light (IEC 61966-2-1)."""
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    return curve.astype(np.float32)


def _lightness(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return L*, 0-100, of luminances in [0, 1] (CIE 15)."""
    dark = luminance <= 216 / 24389
    return np.where(dark, luminance * (24389 / 27), 116 * np.cbrt(luminance) - 16)


_LINEAR = _linear(np.arange(256) / 255)
