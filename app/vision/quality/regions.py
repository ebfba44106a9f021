"""The regions of a face: name -> polygons in pixels of the quality crop, and polygons -> weights of the map's cells.

Drawn for an upright face seen from the front whose landmarks lie on ``crop.TEMPLATE``. A region that a face has twice
is drawn once, on the viewer's left, and mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import SIDE

MAP_SIDE = 56
"""Cells of a visibility map's sides; each is 4 x 4 pixels of the crop."""

Polygon: TypeAlias = tuple[tuple[int, int], ...]
"""(x, y) of its corners."""


def _both(polygon: Polygon) -> tuple[Polygon, Polygon]:
    return polygon, tuple((SIDE - 1 - x, y) for x, y in polygon)


def _symmetric(half: Polygon) -> Polygon:
    """The polygon whose left half runs from the top to the bottom."""
    return half + tuple((SIDE - 1 - x, y) for x, y in reversed(half))


POLYGONS: Mapping[str, tuple[Polygon, ...]] = {
    "eyebrow": _both(((58, 77), (62, 67), (79, 63), (101, 69), (101, 77), (79, 72))),
    "eye": _both(((65, 89), (72, 81), (82, 79), (91, 81), (99, 89), (91, 95), (82, 97), (72, 95))),
    "nose": (_symmetric(((106, 89), (102, 110), (94, 123), (98, 132), (111, 135))),),
    "cheek": _both(((58, 104), (87, 106), (89, 124), (80, 146), (76, 160), (67, 150), (60, 130))),
    "mouth": (_symmetric(((111, 150), (98, 149), (86, 157), (98, 167), (111, 170))),),
    "chin": (_symmetric(((111, 176), (86, 174), (92, 188), (101, 195), (111, 197))),),
}

FACE: Polygon = _symmetric(
    ((111, 42), (84, 46), (60, 60), (53, 90), (55, 122), (63, 154), (80, 182), (98, 199), (111, 203))
)
"""The whole face, from the forehead to the chin."""


def weights(polygons: Sequence[Polygon]) -> NDArray[np.float32]:
    """Return for each cell, MAP_SIDE x MAP_SIDE, the share of it that lies in one of ``polygons``, in [0, 1]."""
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for polygon in polygons:
        cv2.fillPoly(drawn, [np.array(polygon, np.int32)], 1.0)
    return cv2.resize(drawn, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
