"""CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019).

In: a picture. Out: its faces. The network sees RGB 0-255 without mean or scale and answers at stride 4 with a heat
map, log sizes (height, width), centre offsets (y, x) and landmarks (y, x) in units of the face's height and width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image
from app.packs.manifest import DetectorSpec
from app.runtime.session import Session, Tensor
from app.vision.detect.base import fit, suppress

_STRIDE = 4
_MULTIPLE = 32
_OVERLAP = 0.3
_MOST_CANDIDATES = 2000
"""Cells decoded at the most, best first: bounds the work on a picture made of faces."""


class CenterFace:
    """A :class:`~app.vision.detect.base.Detector`."""

    def __init__(self, session: Session, spec: DetectorSpec) -> None:
        self._session = session
        self._confidence = spec.confidence
        self._max_side = spec.max_side

    def detect(self, image: Image) -> list[Face]:
        fitted = fit(image, self._max_side, _MULTIPLE)
        blob = np.ascontiguousarray(fitted.image[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        heat, size, offset, landmarks = (output[0] for output in self._session.run(blob))
        return decode((heat[0], size, offset, landmarks), self._confidence, fitted.scale)


def decode(maps: tuple[Tensor, Tensor, Tensor, Tensor], confidence: float, scale: float) -> list[Face]:
    """Turn the network's maps into faces, most confident first, in pixels of the original picture.

    ``maps``: heat h x w, size 2 x h x w, offset 2 x h x w, landmarks 10 x h x w, all float32.
    """
    heat, size, offset, points = maps
    rows, columns = np.nonzero(heat > confidence)
    order = np.argsort(-heat[rows, columns], kind="stable")[:_MOST_CANDIDATES]
    rows, columns = rows[order], columns[order]
    spans = np.exp(size[:, rows, columns]) * _STRIDE  # height, width
    centres = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * _STRIDE
    corners = centres - spans / 2
    boxes = np.stack([corners[1], corners[0], corners[1] + spans[1], corners[0] + spans[0]], axis=1)
    kept = suppress(boxes.astype(np.float32), _OVERLAP)
    spots = points[:, rows, columns].reshape(5, 2, -1) * spans + corners  # 5 x (y, x) x N
    return [_face(boxes[i] / scale, spots[:, ::-1, i] / scale, heat[rows[i], columns[i]]) for i in kept]


def _face(box: NDArray[np.float32], landmarks: NDArray[np.float32], confidence: np.float32) -> Face:
    left, top, right, bottom = (float(edge) for edge in box)
    return Face(Box(left, top, right, bottom), landmarks.astype(np.float32), float(confidence))
