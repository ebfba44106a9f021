"""What a detector is, and the arithmetic all families share: fitting a picture in, suppressing repeats."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Face, Image


class Detector(Protocol):
    """Finds faces; keeps no state between calls."""

    def detect(self, image: Image) -> list[Face]:
        """Return all faces, most confident first, in pixels of ``image``."""


class Fitted(NamedTuple):
    """A picture made ready for a network: ``image`` H x W x 3 uint8; detector pixels / ``scale`` = its own."""

    image: Image
    scale: float


def fit(image: Image, max_side: int, multiple: int) -> Fitted:
    """Shrink to ``max_side`` where larger, then pad right and below with black to multiples of ``multiple``."""
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    below, right = -image.shape[0] % multiple, -image.shape[1] % multiple
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT)
    return Fitted(padded.astype(np.uint8, copy=False), scale)


def suppress(boxes: NDArray[np.float32], overlap: float) -> list[int]:
    """Greedy non-maximum suppression.

    ``boxes``: N x 4 (left, top, right, bottom), best first. Return the rows to keep: each overlaps every better
    kept one by at most ``overlap`` (intersection over union).
    """
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    kept: list[int] = []
    rest = np.arange(len(boxes))
    while rest.size:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        rest = rest[shared <= overlap * (area[best] + area[rest] - shared)]
    return kept
