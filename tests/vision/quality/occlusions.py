"""Changed quality crops: masks, glasses and other polygons drawn over a face, and gamma."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop
from app.vision.quality.crop import SIDE, QualityCrop

Change = Callable[[Crop], Crop]
"""Returns a changed crop."""


def full_crop(image: Crop) -> QualityCrop:
    """Return the quality crop of a face that lies inside its image."""
    return QualityCrop(image, np.ones((SIDE, SIDE), np.bool_))


def with_polygon(image: Crop, corners: list[tuple[int, int]], colour: tuple[int, int, int]) -> Crop:
    """Return ``image`` with a filled polygon, BGR."""
    changed = cv2.fillPoly(image.copy(), [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    return np.asarray(changed, np.uint8)


def with_mask(image: Crop) -> Crop:
    """Return ``image`` with a pale blue mask from the nose to the chin."""
    return with_polygon(image, [(50, 112), (112, 104), (174, 112), (164, 178), (112, 210), (60, 178)], (225, 205, 170))


def with_sunglasses(image: Crop) -> Crop:
    """Return ``image`` with black lenses."""
    left, black = [(52, 76), (106, 76), (104, 106), (60, 108)], (15, 15, 15)
    return with_polygon(with_polygon(image, left, black), [(SIDE - 1 - x, y) for x, y in left], black)


def with_spectacles(image: Crop) -> Crop:
    """Return ``image`` with thin dark frames."""
    changed = image.copy()
    for centre in ((80, 90), (143, 90)):
        cv2.ellipse(changed, centre, (26, 20), 0, 0, 360, (25, 25, 30), 2, cv2.LINE_AA)
    cv2.line(changed, (106, 88), (117, 88), (25, 25, 30), 2, cv2.LINE_AA)
    return changed


def with_gamma(image: Crop, exponent: float) -> Crop:
    """Return ``image`` with other midtones; an exponent above 1 darkens."""
    curve: NDArray[np.uint8] = (255 * (np.arange(256) / 255) ** exponent).round().astype(np.uint8)
    return curve[image]
