"""Measure the brightness of a face, 0-100.

The brightness is the mean lightness of the visible face: CIE L* of the Rec. 709 luminance of linear sRGB. L* is
perceptually uniform, so a dark face in good light is far brighter than a face in the dark. Underexposed pixels reduce
the result, overexposed pixels raise it: a face that is half black is dim.
"""

import numpy as np
from numpy.typing import NDArray

UNDEREXPOSED, OVEREXPOSED = 25, 247
"""Highest value of an underexposed pixel, and lowest value of an overexposed pixel.

The limits are those of OFIQ, the reference implementation of ISO/IEC 29794-5.
"""
_LIGHTNESS, _POINTS = (0.0, 22.0, 55.0, 82.0, 100.0), (0.0, 30.0, 50.0, 70.0, 100.0)
"""L*, and the brightness that it converts to; 30 to 70 is the vendor's normal band.

In good light the darkest faces have an L* of at least 25 (LFW, Face Research Lab London), and 99 % are below 76 (LFW).
"""
_SRGB = np.arange(256) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)  # noqa: PLR2004
"""Linear light, in [0, 1], of each sRGB value (IEC 61966-2-1)."""
_LUMINANCE_OF_BGR = np.array([0.0722, 0.7152, 0.2126], np.float32)


def measure_brightness(pixels: NDArray[np.uint8]) -> int:
    """Return the brightness, 0-100; 30 to 70 is normal, 0 is a face outside the image.

    ``pixels``: N x 3, BGR, the visible pixels of the face.
    """
    if not len(pixels):
        return 0
    luminance = _LINEAR[pixels] @ _LUMINANCE_OF_BGR
    is_dark = luminance <= 216 / 24389  # L* of CIE 15
    lightness = float(np.where(is_dark, luminance * (24389 / 27), 116 * np.cbrt(luminance) - 16).mean())
    lightness *= 1 - float((luminance <= _LINEAR[UNDEREXPOSED]).mean())
    lightness += (100 - lightness) * float((luminance >= _LINEAR[OVEREXPOSED]).mean())
    return round(float(np.interp(lightness, _LIGHTNESS, _POINTS)))
