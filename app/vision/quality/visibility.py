"""Quality crop -> which parts of the face nothing lies in front of: a small segmentation network.

The file ``models/quality/visibility.onnx`` is this project's own; ``models/quality/README.md`` tells how it was made.
A mask, sunglasses, a hand, hair over the brows or a bottle cover; spectacles, a beard and shadow do not, nor does the
pose of the head.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.runtime.session import Session
from app.vision.quality.crop import QualityCrop
from app.vision.quality.regions import MAP_SIDE

INPUT_SIDE = 112
"""Pixels of the network's input."""


class Visibility:
    """The network opened as ``session``: N x 3 x 112 x 112 float32 BGR 0-255 -> N x 1 x 56 x 56, in [0, 1]."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def map(self, crop: QualityCrop) -> NDArray[np.float32]:
        """Return for each cell, MAP_SIDE x MAP_SIDE, the probability that nothing covers it.

        Of a cell that lies partly outside the picture it is so much less; outside it is 0.
        """
        small = cv2.resize(crop.image, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
        batch = np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)
        inside = cv2.resize(crop.inside.astype(np.float32), (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(self._session.run(batch)[0][0, 0] * inside, dtype=np.float32)
