"""Visible parts of a face: a small segmentation network, and the visible share of each region.

``models/quality/README.md`` describes the network and its training. Masks, sunglasses, hands, hair over the eyebrows or
a bottle cover the face. Spectacles, beards, shadows and the pose of the head do not.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Completeness
from app.runtime.session import Session
from app.vision.quality.crop import FACE_OUTLINE, REGIONS, SIDE, QualityCrop, cell_shares, polygon_mask, to_cells

INPUT_SIDE = 112
"""Pixels per side of the network's input."""
VISIBLE = 0.5
"""Probability above which a cell is visible."""
_MAX_FRONTAL_YAW = 40.0  # degrees of yaw from which the far side of a face is hidden, so that only the near side counts

VisibilityMap: TypeAlias = NDArray[np.float32]
"""MAP_SIDE x MAP_SIDE: the probability that nothing covers the cell, times its share inside the image."""

REGION_CELLS = {name: cell_shares(polygons) for name, polygons in REGIONS.items()}
"""The share of each cell that lies in a region."""
_FACE = polygon_mask([FACE_OUTLINE]).astype(bool)
_MIN_VISIBLE = 0.02  # share of the face that must be visible to be measured without the covered parts
# A paired region lists the viewer's left side first; an unpaired one has one polygon, used for both sides.
_LEFT_CELLS = {name: cell_shares(polygons[:1]) for name, polygons in REGIONS.items()}
_RIGHT_CELLS = {name: cell_shares(polygons[-1:]) for name, polygons in REGIONS.items()}


def predict_visibility(session: Session, crop: QualityCrop) -> VisibilityMap:
    """Return the visibility map of ``crop``.

    ``session`` maps N x 3 x 112 x 112 float32, BGR, 0-255, to N x 1 x 56 x 56, in [0, 1].
    """
    resized = cv2.resize(crop.image, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
    batch = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], dtype=np.float32)
    return np.asarray(session.run(batch)[0][0, 0] * to_cells(crop.inside), dtype=np.float32)


def visible_face(crop: QualityCrop, visibility: VisibilityMap) -> NDArray[np.bool_]:
    """Return the visible pixels of the face, SIDE x SIDE; all its pixels in the image if too few are visible."""
    face = _FACE & crop.inside
    visible = face & (cv2.resize(visibility, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > VISIBLE)
    return np.asarray(visible if visible.sum() > _MIN_VISIBLE * _FACE.sum() else face)


def measure_completeness(visibility: VisibilityMap, yaw: float = 0.0) -> Completeness:
    """Return the visible share of each region in percent, the vendor's ``Completeness``.

    ``yaw``: degrees, > 0 if the face looks to the viewer's right.
    """
    is_visible = visibility > VISIBLE
    regions = REGION_CELLS if abs(yaw) < _MAX_FRONTAL_YAW else _LEFT_CELLS if yaw > 0 else _RIGHT_CELLS
    percents = {name: round(100 * float(cells[is_visible].sum() / cells.sum())) for name, cells in regions.items()}
    return Completeness(**percents)
