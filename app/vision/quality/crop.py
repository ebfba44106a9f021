"""The quality crop (one face in a standard position, the input of all quality measures) and the regions of the face.

The eyes of a frontal face are 60 pixels apart, so measures do not depend on the size of the image. A small face is
enlarged, and is therefore measured as blurry. The crop shows the face from the forehead to below the chin.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Image, Landmarks
from app.vision.align import similarity_transform, warp_crop
from app.vision.pose import pose

SIDE = 224
"""Pixels per side of the crop."""
MAP_SIDE = 56
"""Cells per side of the visibility map (``visibility``) and other maps; each cell covers 4 x 4 pixels of the crop."""
EYE_DISTANCE = 60.0
"""Pixels between the eyes of a frontal face."""

# insightface's template for 112 x 112 (python-package/insightface/utils/face_align.py), enlarged and centred.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_SCALE = EYE_DISTANCE / (73.5318 - 38.2946)

TEMPLATE: Landmarks = (_ARCFACE * _SCALE + [(SIDE - 112 * _SCALE) / 2, 0]).astype(np.float32)
"""Positions of the five landmarks in the crop: 5 x 2, pixels."""

Polygon: TypeAlias = tuple[tuple[int, int], ...]
"""Corners (x, y) in pixels of the crop."""


def _mirrored_pair(polygon: Polygon) -> tuple[Polygon, Polygon]:
    """Return ``polygon``, on the viewer's left, and its mirror image."""
    return polygon, tuple((SIDE - 1 - x, y) for x, y in polygon)


def _symmetric(left_half: Polygon) -> Polygon:
    """Return the symmetric polygon; ``left_half`` runs from top to bottom."""
    return left_half + tuple((SIDE - 1 - x, y) for x, y in reversed(left_half))


REGIONS: Mapping[str, tuple[Polygon, ...]] = {
    "eyebrow": _mirrored_pair(((58, 77), (62, 67), (79, 63), (101, 69), (101, 77), (79, 72))),
    "eye": _mirrored_pair(((65, 89), (72, 81), (82, 79), (91, 81), (99, 89), (91, 95), (82, 97), (72, 95))),
    "nose": (_symmetric(((106, 89), (102, 110), (94, 123), (98, 132), (111, 135))),),
    "cheek": _mirrored_pair(((58, 104), (87, 106), (89, 124), (80, 146), (76, 160), (67, 150), (60, 130))),
    "mouth": (_symmetric(((111, 150), (98, 149), (86, 157), (98, 167), (111, 170))),),
    "chin": (_symmetric(((111, 176), (86, 174), (92, 188), (101, 195), (111, 197))),),
}
"""The polygons of each region, for a frontal face whose landmarks lie on ``TEMPLATE``."""

FACE_OUTLINE: Polygon = _symmetric(
    ((111, 42), (84, 46), (60, 60), (53, 90), (55, 122), (63, 154), (80, 182), (98, 199), (111, 203))
)
"""The whole face, from the forehead to the chin."""

_Y, _X = np.mgrid[:SIDE, :SIDE]
_MIN_INSIDE = 0.99  # share of a cell inside the image above which the cell counts as inside
_EDGE = -0.5  # coordinate of an image's left and top edge: the centre of its first pixel is at 0


class QualityCrop(NamedTuple):
    """A face in the standard position.

    ``image``: SIDE x SIDE x 3, uint8, BGR, black outside the image. ``inside``: SIDE x SIDE, bool: the pixels that the
    image contains. ``yaw``: degrees, > 0 if the face looks to the viewer's right.
    """

    image: Crop
    inside: NDArray[np.bool_]
    yaw: float = 0.0


def quality_crop(image: Image, landmarks: Landmarks) -> QualityCrop:
    """Return the quality crop of the face with ``landmarks``."""
    matrix = similarity_transform(landmarks, TEMPLATE)
    x, y = (row[0] * _X + row[1] * _Y + row[2] for row in np.asarray(cv2.invertAffineTransform(matrix)))
    height, width = image.shape[:2]
    inside = (x >= _EDGE) & (x < width + _EDGE) & (y >= _EDGE) & (y < height + _EDGE)
    return QualityCrop(warp_crop(image, matrix, SIDE), np.asarray(inside), pose(landmarks, pitch_offset=0).yaw)


def polygon_mask(polygons: Sequence[Polygon]) -> NDArray[np.uint8]:
    """Return SIDE x SIDE, 1 in the pixels of ``polygons``, else 0."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.array(polygon, np.int32)], 1)
    return mask


def cell_shares(polygons: Sequence[Polygon]) -> NDArray[np.float32]:
    """Return the share of each cell that lies in ``polygons``: MAP_SIDE x MAP_SIDE, in [0, 1]."""
    return to_cells(polygon_mask(polygons))


def inside_cells(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells that the image contains, MAP_SIDE x MAP_SIDE; ``inside`` as in :class:`QualityCrop`."""
    return np.asarray(to_cells(inside) > _MIN_INSIDE)


def to_cells(mask: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean of each cell of ``mask`` (SIDE x SIDE): MAP_SIDE x MAP_SIDE, in [0, 1]."""
    cells = cv2.resize(mask.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
    return cells.astype(np.float32, copy=False)
