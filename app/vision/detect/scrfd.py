"""SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", 2021), as in insightface.

Input: RGB, (x - 127.5) / 128. Output, at three strides, for two anchors per cell: a score, the distances to the
four edges of the box, and five landmarks. Both are relative to the cell's corner; their unit is the stride.

The network misses a face that fills a large image. A large image is therefore also detected at a smaller size, as
insightface does since version 2. A test compares a pass with ``insightface.model_zoo.scrfd.SCRFD``.
"""

from collections.abc import Sequence

import numpy as np

from app.domain import Image
from app.runtime.session import Tensor
from app.vision.detect.base import (
    Candidates,
    NetworkDetector,
    grid_cells,
    join_strides,
    resize_and_pad,
    to_blob,
    top_candidates,
)

_ANCHORS = 2
_MEAN = 127.5
_STD = 128.0
_MAX_SINGLE_PASS_SIDE = 320
"""Pixels; up to this side one pass detects faces of any size. At 640 a face may fill at most 60 % of the image."""
_LARGE_FACE_PASS_SIDE = 192  # pixels; the size of the large-face pass, which costs a tenth of a pass at 640
_MIN_LARGE_FACE = 352
"""Minimum box side, in pixels of the fine pass, for keeping a face of the large-face pass."""


class Scrfd(NetworkDetector):
    """The detector of the family ``scrfd``."""

    max_iou = 0.4

    def candidates(self, image: Image) -> Candidates:
        fine = self._detect_once(image)
        if max(image.shape) <= _MAX_SINGLE_PASS_SIDE:
            return fine
        small, scale = resize_and_pad(image, _LARGE_FACE_PASS_SIDE)
        return merge(fine, self._detect_once(small).unscaled(scale))

    def _detect_once(self, image: Image) -> Candidates:
        blob = to_blob(image[:, :, ::-1])
        blob -= _MEAN
        blob /= _STD
        height, width = image.shape[:2]
        return decode(self._session.run(blob), height, width, self._confidence)


def merge(fine: Candidates, large: Candidates) -> Candidates:
    """Add the large faces of the large-face pass to those of the fine pass, most confident first."""
    sides = np.maximum(*(large.boxes[:, 2:] - large.boxes[:, :2]).T)
    is_large = sides >= _MIN_LARGE_FACE
    merged = [np.concatenate([values, more[is_large]]) for values, more in zip(fine, large, strict=True)]
    order = np.argsort(-merged[0], kind="stable")
    return Candidates(*(values[order] for values in merged))


def decode(outputs: Sequence[Tensor], height: int, width: int, confidence: float) -> Candidates:
    """Decode the outputs for an input of ``height`` x ``width`` pixels; return candidates in its pixels.

    ``outputs``: scores (N x 1), edge distances (N x 4) and landmarks (N x 10), each for strides 8, 16 and 32. The
    anchors of a cell are adjacent.
    """
    scores, distances, points = join_strides(outputs)
    top = top_candidates(scores[:, 0], confidence)
    cells = grid_cells(height, width, _ANCHORS)[top]
    corners, strides = cells[:, :2], cells[:, 2:]
    left_top, right_bottom = np.split(distances[top] * strides, 2, axis=1)
    landmarks = corners[:, None] + points[top].reshape(-1, 5, 2) * strides[:, None]
    return Candidates(scores[top, 0], np.concatenate([corners - left_top, corners + right_bottom], axis=1), landmarks)
