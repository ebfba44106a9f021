"""The detector interface, and the steps that all detector families share: resizing, grid cells and NMS."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image
from app.packs.manifest import DetectorSpec
from app.runtime.session import Session, Tensor
from app.vision.align import average_blocks

STRIDES = (8, 16, 32)
"""Pixels per grid cell, in families with one grid each for small, medium and large faces."""

MAX_CANDIDATES = 2000
"""Limit of the candidates of NMS; bounds the work on an image full of faces."""
_INPUT_MULTIPLE = 32  # the networks take images whose sides in pixels are multiples of it
_MIN_BLOCKS = 32  # minimum number of blocks per side after block averaging


class Detector(Protocol):
    """Detects faces; keeps no state between calls."""

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        """Return all faces, most confident first, in pixels of ``image``.

        A larger image is shrunk to a longer side of ``side`` pixels first; None uses the pack's ``max_side``.
        """


class Candidates(NamedTuple):
    """Detections before NMS, most confident first; all arrays are float32, coordinates are pixels.

    ``scores``: N. ``boxes``: N x 4 (left, top, right, bottom). ``landmarks``: N x 5 x 2 (x, y).
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def unscaled(self, scale: float) -> "Candidates":
        """Return the candidates in pixels of the image before it was resized by ``scale``."""
        return Candidates(self.scores, self.boxes / np.float32(scale), self.landmarks / np.float32(scale))


class NetworkDetector(ABC):
    """Base of the detector families: resize, :meth:`candidates`, NMS. Implements :class:`Detector`."""

    max_iou: ClassVar[float]
    """IoU of two boxes up to which NMS keeps both."""

    def __init__(self, session: Session, spec: DetectorSpec) -> None:
        self._session = session
        self._confidence = spec.confidence
        self._max_side = spec.max_side

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        resized, scale = resize_and_pad(image, side or self._max_side)
        return to_faces(self.candidates(resized).unscaled(scale), self.max_iou)

    @abstractmethod
    def candidates(self, image: Image) -> Candidates:
        """Return the candidates of ``image`` in its pixels; its sides are multiples of 32."""


def resize_and_pad(image: Image, max_side: int) -> tuple[Image, float]:
    """Shrink ``image`` to ``max_side`` if it is larger, then pad it with black to sides that are multiples of 32.

    Return the result and its scale: pixel coordinates / scale are those of ``image``. The padding is at the right and
    the bottom. Blocks of whole pixels are averaged first, so that bilinear sampling skips no pixel; this is faster than
    ``INTER_AREA`` alone. An incomplete last block is dropped: at most 1/32 of a side, because the shorter side has at
    least 32 blocks. In a thin image, blocks may therefore be too small, and sampling skips pixels.
    """
    sides = image.shape[:2]
    factor = max(1, min(max(sides) // max_side, min(sides) // _MIN_BLOCKS))
    if factor > 1:
        image = average_blocks(image, factor)
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    bottom, right = (-side % _INPUT_MULTIPLE for side in image.shape[:2])
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT).astype(np.uint8, copy=False)
    return image, scale / factor


def to_blob(image: Image) -> Tensor:
    """Return ``image`` (H x W x 3) as 1 x 3 x H x W float32, channels in the same order."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def join_strides(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Concatenate each kind of output over the strides; ``outputs`` is ordered by kind, then by stride."""
    count = len(STRIDES)
    return [np.concatenate(outputs[start : start + count]) for start in range(0, len(outputs), count)]


@lru_cache(maxsize=32)
def grid_cells(height: int, width: int, anchors: int) -> NDArray[np.float32]:
    """Return all cells of an image of ``height`` x ``width`` pixels, stride by stride, row by row.

    N x 3 float32, read-only: x and y of the cell's top left corner in pixels, and its stride. Each cell is repeated
    ``anchors`` times. ``height`` and ``width`` must be multiples of the largest stride.
    """
    grids = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0:height:stride, 0:width:stride]
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3))
    cells = np.repeat(np.concatenate(grids).astype(np.float32), anchors, axis=0)
    cells.flags.writeable = False
    return cells


def top_candidates(scores: NDArray[np.float32], confidence: float) -> NDArray[np.intp]:
    """Return the indices of the highest ``scores`` (N) of at least ``confidence``, highest first, at most 2,000.

    Equal scores keep their order.
    """
    indices = np.flatnonzero(scores >= confidence)
    return indices[np.argsort(-scores[indices], kind="stable")[:MAX_CANDIDATES]]


def to_faces(candidates: Candidates, max_iou: float) -> list[Face]:
    """Return the candidates that NMS keeps, most confident first."""
    return [
        Face(Box(*candidates.boxes[row].tolist()), candidates.landmarks[row].copy(), float(candidates.scores[row]))
        for row in nms(candidates.boxes, max_iou)
    ]


def nms(boxes: NDArray[np.float32], max_iou: float) -> list[int]:
    """Return the rows that greedy non-maximum suppression keeps.

    ``boxes``: N x 4 (left, top, right, bottom), most confident first. The IoU of two kept boxes is at most ``max_iou``.
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
        intersection = np.maximum(width, 0) * np.maximum(height, 0)
        rest = rest[intersection <= max_iou * (area[best] + area[rest] - intersection)]
    return kept
