"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023), as published in the OpenCV Zoo.

Input: BGR, 0-255, without mean or scale. Output, at three strides, per cell: a class score and an objectness (both
outputs of a sigmoid), a box (offset of its centre, log of its size) and five landmarks. The unit is the stride.
Decoding and NMS follow OpenCV's ``FaceDetectorYN`` (modules/objdetect/src/face_detect.cpp), but boxes are not rounded
to whole pixels before NMS.
"""

from collections.abc import Sequence

import numpy as np

from app.domain import Image
from app.runtime.session import Tensor
from app.vision.detect.base import Candidates, NetworkDetector, grid_cells, join_strides, to_blob, top_candidates


class YuNet(NetworkDetector):
    """The detector of the family ``yunet``."""

    max_iou = 0.3

    def candidates(self, image: Image) -> Candidates:
        outputs = [output[0] for output in self._session.run(to_blob(image))]
        height, width = image.shape[:2]
        return decode(outputs, height, width, self._confidence)


def decode(outputs: Sequence[Tensor], height: int, width: int, confidence: float) -> Candidates:
    """Decode the outputs for an input of ``height`` x ``width`` pixels; return candidates in its pixels.

    ``outputs``: class scores (N x 1), objectness (N x 1), boxes (N x 4), landmarks (N x 10), each for all strides.
    """
    classes, objectness, boxes, points = join_strides(outputs)
    scores = np.sqrt(classes[:, 0] * objectness[:, 0])
    top = top_candidates(scores, confidence)
    cells = grid_cells(height, width, 1)[top]
    corners, strides = cells[:, :2], cells[:, 2:]
    centres = corners + boxes[top, :2] * strides
    half_sizes = np.exp(boxes[top, 2:]) * strides / 2
    landmarks = corners[:, None] + points[top].reshape(-1, 5, 2) * strides[:, None]
    return Candidates(scores[top], np.concatenate([centres - half_sizes, centres + half_sizes], axis=1), landmarks)
