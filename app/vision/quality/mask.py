"""Visibility map -> whether the lower face is covered, as far as the picture shows it: the vendor's ``Mask``.

Unlike ``Completeness`` it does not count what lies outside the picture: a face cut off at the nose wears no mask.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.bands import is_covered
from app.vision.quality.completeness import VISIBLE
from app.vision.quality.regions import MAP_SIDE, POLYGONS, weights

_LEAST = {"nose": 0.5, "mouth": 0.5, "chin": 0.0}
"""What a mask covers, and the share of it that the picture must show to tell."""
_WHOLE = 0.99
"""Share of a cell inside the picture from which the cell counts as shown."""


def is_masked(visible: NDArray[np.float32], inside: NDArray[np.bool_]) -> bool:
    """Tell whether nose, mouth and chin are covered, by whatever it is.

    ``visible``: as ``Visibility.map`` gives it; ``inside``: as ``QualityCrop`` has it.
    """
    shown = cv2.resize(inside.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) > _WHOLE
    for region, least in _LEAST.items():
        cells = weights(POLYGONS[region])
        total, there = float(cells.sum()), float(cells[shown].sum())
        if there < least * total:
            return False
        if there and not is_covered(round(100 * float(cells[shown & (visible > VISIBLE)].sum()) / there), region):
            return False
    return True
