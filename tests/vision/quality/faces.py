"""A real face as a quality crop, and things drawn before it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop
from app.vision.quality.crop import SIDE, QualityCrop

Change = Callable[[Crop], Crop]
"""What makes another crop of one."""


def whole(image: Crop) -> QualityCrop:
    """The crop, all of which lies inside the picture."""
    return QualityCrop(image, np.ones((SIDE, SIDE), np.bool_))


def drawn(image: Crop, corners: list[tuple[int, int]], colour: tuple[int, int, int]) -> Crop:
    """The crop with a filled polygon, BGR."""
    done = cv2.fillPoly(image.copy(), [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    return np.asarray(done, np.uint8)


def masked(image: Crop) -> Crop:
    """With a pale blue mask from the nose to the chin."""
    return drawn(image, [(50, 112), (112, 104), (174, 112), (164, 178), (112, 210), (60, 178)], (225, 205, 170))


def in_sunglasses(image: Crop) -> Crop:
    """With black lenses."""
    left = [(52, 76), (106, 76), (104, 106), (60, 108)]
    return drawn(drawn(image, left, (15, 15, 15)), [(SIDE - 1 - x, y) for x, y in left], (15, 15, 15))


def in_spectacles(image: Crop) -> Crop:
    """With thin dark frames."""
    done = image.copy()
    for centre in ((80, 90), (143, 90)):
        cv2.ellipse(done, centre, (26, 20), 0, 0, 360, (25, 25, 30), 2, cv2.LINE_AA)
    cv2.line(done, (106, 88), (117, 88), (25, 25, 30), 2, cv2.LINE_AA)
    return done


def with_gamma(image: Crop, exponent: float) -> Crop:
    """With other midtones; an exponent above 1 darkens."""
    curve: NDArray[np.uint8] = (255 * (np.arange(256) / 255) ** exponent).round().astype(np.uint8)
    return curve[image]
