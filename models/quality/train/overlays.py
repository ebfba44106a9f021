"""Draw text or lines over an image, as watermarks and overprinted ID photos have them.

Sizes refer to ``face``, the distance in pixels between the eyes, so that an overlay looks alike at every resolution.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789  ")
_LETTERS_PER_LINE, _LETTER_HEIGHT = 40, 22.0  # the height in pixels at scale 1
_COLOURS = ((255, 255, 255), (0, 0, 0), (128, 128, 128), (0, 0, 255), (200, 120, 40))
_ANGLES = (0, 0, 90, 45, -45, 30, -30)  # degrees


def with_text(image: Image, face: float, rng: np.random.Generator) -> Image:
    """Return ``image`` with rows of translucent text."""
    side = _diagonal(image)
    mask = np.zeros((side, side), np.uint8)
    height = face * rng.uniform(0.25, 1.0)
    width, step, font = (
        max(1, round(height * rng.uniform(0.05, 0.22))),
        height * rng.uniform(1.5, 3),
        rng.choice(_FONTS),
    )
    for y in np.arange(rng.uniform(0, step), side + height, step):
        text, start = "".join(rng.choice(_LETTERS, _LETTERS_PER_LINE)), (-int(rng.uniform(0, 2 * height)), int(y))
        cv2.putText(mask, text, start, int(font), height / _LETTER_HEIGHT, 255, width, cv2.LINE_AA)
    return _blended(image, mask, rng.uniform(0.35, 0.75), rng)


def with_lines(image: Image, face: float, rng: np.random.Generator) -> Image:
    """Return ``image`` with straight or wavy lines, most of them opaque."""
    side = _diagonal(image)
    mask = np.zeros((side, side), np.uint8)
    width = max(1, round(face * rng.uniform(0, 0.08)))
    step = max(3.0 * width, face * rng.uniform(0.15, 0.6))
    amplitude, period = rng.choice((0, 1)) * face * rng.uniform(0.05, 0.3), face * rng.uniform(0.8, 4)
    x, style = np.arange(side), int(rng.choice((cv2.LINE_AA, cv2.LINE_8)))
    for y in np.arange(rng.uniform(0, step), side + amplitude, step):
        line = np.stack([x, y + amplitude * np.sin(2 * np.pi * x / period)], axis=1).round().astype(np.int32)
        cv2.polylines(mask, [line], False, 255, width, style)
    return _blended(image, mask, 1.0 if rng.random() < 0.6 else rng.uniform(0.5, 0.9), rng)


def _diagonal(image: Image) -> int:
    return int(np.hypot(*image.shape[:2])) + 2


def _blended(image: Image, mask: NDArray[np.uint8], opacity: float, rng: np.random.Generator) -> Image:
    """Return ``image`` with a random colour where the rotated ``mask`` is set."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((len(mask) / 2, len(mask) / 2), float(rng.choice(_ANGLES)), 1)
    matrix[:, 2] -= (len(mask) - width) / 2, (len(mask) - height) / 2
    alpha = opacity / 255 * cv2.warpAffine(mask, matrix, (width, height))[..., None]
    colour = rng.choice(_COLOURS) if rng.random() < 0.8 else rng.integers(0, 256, 3)
    return np.asarray((image * (1 - alpha) + colour * alpha).round(), np.uint8)
