"""Visibility map -> the visible share of each region of the face: the vendor's ``Completeness``.

The pose of a head covers nothing. Of a face that looks far to one side, of which the far eye, brow and cheek are not to
be seen, the near ones count for both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain import Completeness
from app.vision.quality.regions import POLYGONS, weights

VISIBLE = 0.5
"""The probability from which a cell counts as visible."""
_FAR = 40.0
"""Degrees of yaw from which the far side of a face is not counted."""

_BOTH = {name: weights(polygons) for name, polygons in POLYGONS.items()}
_LEFT = {name: weights(polygons[:1]) for name, polygons in POLYGONS.items()}
_RIGHT = {name: weights(polygons[-1:]) for name, polygons in POLYGONS.items()}


def completeness(visible: NDArray[np.float32], yaw: float = 0.0) -> Completeness:
    """Return the visible percent of each region.

    ``visible``: probabilities, MAP_SIDE x MAP_SIDE; ``yaw``: degrees, above 0 the face looks to the viewer's right.
    """
    shown = visible > VISIBLE
    counted = _BOTH if abs(yaw) < _FAR else _LEFT if yaw > 0 else _RIGHT
    return Completeness(
        **{name: round(100 * float(cells[shown].sum() / cells.sum())) for name, cells in counted.items()}
    )
