"""SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", 2021), insightface's.

In: a picture. Out: its faces. The network sees RGB, (x - 127.5) / 128. At each of three strides it answers, for two
anchors per cell, with a score, the distances from the cell's corner to the four edges of the box, and five landmarks
relative to that corner, all in strides; the order of the landmarks is ours. A face that fills a large picture is too
large for the network, so that large pictures are looked at twice, as insightface does since version 2. Written after
the behaviour of ``insightface.model_zoo.scrfd.SCRFD``, against which a test compares one look; the README's Decisions
say why that class is not wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain import Face, Image
from app.packs.manifest import DetectorSpec
from app.runtime.session import Session, Tensor
from app.vision.detect.base import STRIDES, Candidates, grid_cells, resize_and_pad, to_faces, top_candidates

_MULTIPLE = STRIDES[-1]
_ANCHORS = 2
_OVERLAP = 0.4
_MEAN = 127.5
_STD = 128.0

_WHOLE = 320
"""Detector pixels: at this size a face is found however much of the picture it fills. In 640 it fills at most 60 %."""
_COARSE = 192
"""Detector pixels: the size of the second look at pictures larger than that; a tenth of the work of 640."""
_LARGE = 352
"""Detector pixels: faces smaller than that are left to the first look, which finds them all and whose landmarks are
steadier (they move by 1.1 % of the distance of the eyes when the picture is moved a little, those of the second 1.5 %).
"""


class Scrfd:
    """A :class:`~app.vision.detect.base.Detector`."""

    def __init__(self, session: Session, spec: DetectorSpec) -> None:
        self._session = session
        self._confidence = spec.confidence
        self._max_side = spec.max_side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        fine = resize_and_pad(image, side or self._max_side, _MULTIPLE)
        found = self._look(fine.image)
        if max(fine.image.shape) > _WHOLE:
            coarse = resize_and_pad(fine.image, _COARSE, _MULTIPLE)
            found = merge(found, self._look(coarse.image).before(coarse.scale))
        return to_faces(found.before(fine.scale), _OVERLAP)

    def _look(self, image: Image) -> Candidates:
        blob = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        blob -= _MEAN
        blob /= _STD
        height, width = image.shape[:2]
        return decode(self._session.run(blob), height, width, self._confidence)


def merge(fine: Candidates, coarse: Candidates) -> Candidates:
    """Add the large faces of a second look to those of the first, top_candidates first."""
    sides = np.maximum(*(coarse.boxes[:, 2:] - coarse.boxes[:, :2]).T)
    both = (np.concatenate(pair) for pair in zip(fine, coarse.at(np.flatnonzero(sides >= _LARGE)), strict=True))
    found = Candidates(*both)
    return found.at(np.argsort(-found.scores, kind="stable"))


def decode(outputs: Sequence[Tensor], height: int, width: int, confidence: float) -> Candidates:
    """Rotation the network's answers to a picture of ``height`` x ``width`` into candidates, top_candidates first.

    ``outputs``: scores, boxes, landmarks, each of them for strides 8, 16, 32: N x 1, 4 or 10, anchors side by side.
    """
    scores, reach, points = (
        np.concatenate(outputs[start : start + len(STRIDES)]) for start in range(0, 3 * len(STRIDES), len(STRIDES))
    )
    chosen = top_candidates(scores[:, 0], confidence)
    place = grid_cells(height, width, _ANCHORS)[chosen]
    corner, stride = place[:, :2], place[:, 2:]
    left_top, right_bottom = np.split(reach[chosen] * stride, 2, axis=1)
    landmarks = corner[:, None] + points[chosen].reshape(-1, 5, 2) * stride[:, None]
    return Candidates(scores[chosen, 0], np.concatenate([corner - left_top, corner + right_bottom], axis=1), landmarks)
