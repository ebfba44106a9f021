"""CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019).

In: a picture. Out: its faces. The network sees RGB 0-255 without mean or scale and answers at stride 4 with a heat
map, log sizes (height, width), centre offsets (y, x) and landmarks (y, x) in units of the face's height and width.
"""

from __future__ import annotations

import numpy as np

from app.domain import Face, Image
from app.packs.manifest import DetectorSpec
from app.runtime.session import Session, Tensor
from app.vision.detect.base import Candidates, resize_and_pad, to_faces, top_candidates

_STRIDE = 4
_MULTIPLE = 32
_OVERLAP = 0.3


class CenterFace:
    """A :class:`~app.vision.detect.base.Detector`."""

    def __init__(self, session: Session, spec: DetectorSpec) -> None:
        self._session = session
        self._confidence = spec.confidence
        self._max_side = spec.max_side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        fitted = resize_and_pad(image, side or self._max_side, _MULTIPLE)
        blob = np.ascontiguousarray(fitted.image[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        heat, size, offset, landmarks = (output[0] for output in self._session.run(blob))
        return decode((heat[0], size, offset, landmarks), self._confidence, fitted.scale)


def decode(maps: tuple[Tensor, Tensor, Tensor, Tensor], confidence: float, scale: float) -> list[Face]:
    """Rotation the network's maps into faces, most confident first, in pixels of the original picture.

    ``maps``: heat h x w, size 2 x h x w, offset 2 x h x w, landmarks 10 x h x w, all float32.
    """
    heat, size, offset, points = maps
    chosen = top_candidates(heat.ravel(), confidence)
    rows, columns = np.divmod(chosen, heat.shape[1])
    spans = np.exp(size[:, rows, columns]) * _STRIDE  # height, width
    centres = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * _STRIDE
    corners = centres - spans / 2
    boxes = np.stack([corners[1], corners[0], corners[1] + spans[1], corners[0] + spans[0]], axis=1)
    spots = points[:, rows, columns].reshape(5, 2, -1) * spans + corners  # 5 x (y, x) x N
    landmarks = spots[:, ::-1].transpose(2, 0, 1)
    found = Candidates(heat.ravel()[chosen], boxes.astype(np.float32), landmarks.astype(np.float32))
    return to_faces(found.before(scale), _OVERLAP)
