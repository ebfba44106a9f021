"""YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023), as OpenCV Zoo publishes it.

In: a picture. Out: its faces. The network sees BGR 0-255 without mean or scale. At each of three strides it answers,
per cell, with a class score, an objectness, a box (offset of the centre, log of the size) and five landmarks; their
order is ours. Decoding and overlap are those of OpenCV's ``FaceDetectorYN`` (modules/objdetect/src/face_detect.cpp),
except that boxes are not cut to whole pixels before repeats are suppressed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain import Face, Image
from app.packs.manifest import DetectorSpec
from app.runtime.session import Session, Tensor
from app.vision.detect.base import STRIDES, Candidates, grid_cells, resize_and_pad, to_faces, top_candidates

_MULTIPLE = STRIDES[-1]
_OVERLAP = 0.3


class YuNet:
    """A :class:`~app.vision.detect.base.Detector`."""

    def __init__(self, session: Session, spec: DetectorSpec) -> None:
        self._session = session
        self._confidence = spec.confidence
        self._max_side = spec.max_side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        fitted = resize_and_pad(image, side or self._max_side, _MULTIPLE)
        blob = np.ascontiguousarray(fitted.image.transpose(2, 0, 1)[None], dtype=np.float32)
        outputs = [output[0] for output in self._session.run(blob)]
        height, width = fitted.image.shape[:2]
        return to_faces(decode(outputs, height, width, self._confidence).before(fitted.scale), _OVERLAP)


def decode(outputs: Sequence[Tensor], height: int, width: int, confidence: float) -> Candidates:
    """Rotation the network's answers to a picture of ``height`` x ``width`` into candidates, top_candidates first.

    ``outputs``: class scores, objectness, boxes, landmarks, each of them for strides 8, 16, 32: N x 1, 1, 4 or 10.
    """
    classes, objects, boxes, points = (
        np.concatenate(outputs[start : start + len(STRIDES)]) for start in range(0, 4 * len(STRIDES), len(STRIDES))
    )
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    chosen = top_candidates(scores, confidence)
    place = grid_cells(height, width, 1)[chosen]
    corner, stride = place[:, :2], place[:, 2:]
    centre = corner + boxes[chosen, :2] * stride
    half = np.exp(boxes[chosen, 2:]) * stride / 2
    landmarks = corner[:, None] + points[chosen].reshape(-1, 5, 2) * stride[:, None]
    return Candidates(scores[chosen], np.concatenate([centre - half, centre + half], axis=1), landmarks)
