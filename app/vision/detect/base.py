"""What a detector is, and the arithmetic families share: fitting a picture in, grid_cells of a grid, suppressing repeats."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image

STRIDES = (8, 16, 32)
"""Detector pixels per cell, of the families that look for small, medium and large faces on a grid each."""

_AREAS = 32
"""Of which a side is averaged at the least."""
_MOST_CANDIDATES = 2000
"""Cells decoded at the most, top_candidates first: bounds the work on a picture made of faces."""


class Detector(Protocol):
    """Finds faces; keeps no state between calls."""

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        """Return all faces, most confident first, in pixels of ``image``.

        It is looked at with ``side`` pixels a side at the most; by default, as many as the pack says.
        """


class Candidates(NamedTuple):
    """Candidates, top_candidates first: ``scores`` N, ``boxes`` N x 4 (left, top, right, bottom), ``landmarks`` N x 5 x 2."""

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def before(self, scale: float) -> Candidates:
        """The same in pixels of the picture before it was scaled by ``scale``."""
        return Candidates(self.scores, self.boxes / np.float32(scale), self.landmarks / np.float32(scale))

    def at(self, rows: NDArray[np.intp]) -> Candidates:
        """Some of them."""
        return Candidates(self.scores[rows], self.boxes[rows], self.landmarks[rows])


class ResizedImage(NamedTuple):
    """A picture made ready for a network: ``image`` H x W x 3 uint8; detector pixels / ``scale`` = its own."""

    image: Image
    scale: float


def resize_and_pad(image: Image, max_side: int, multiple: int) -> ResizedImage:
    """Shrink to ``max_side`` where larger, then pad right and below with black to multiples of ``multiple``.

    Areas of whole pixels are averaged first, then bilinear sampling skips none (but of thin pictures): a sixth to two
    fifths of the time of averaging areas of any size. What is less than an area at the right or below is left out: a
    32nd of a side at most.
    """
    sides = image.shape[:2]
    factor = max(1, min(max(sides) // max_side, min(sides) // _AREAS))
    if factor > 1:
        height, width = (side // factor for side in sides)
        whole = image[: height * factor, : width * factor]
        image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    below, right = -image.shape[0] % multiple, -image.shape[1] % multiple
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT)
    return ResizedImage(padded.astype(np.uint8, copy=False), scale / factor)


@lru_cache(maxsize=32)
def grid_cells(height: int, width: int, anchors: int) -> NDArray[np.float32]:
    """All grid_cells of a picture of ``height`` x ``width`` detector pixels: stride by stride, row by row.

    Return N x 3 float32, read-only: x and y of the cell's corner at the top left, in pixels, and its stride. Each
    cell is listed ``anchors`` times in a row. Both sides must be multiples of the largest stride.
    """
    grids = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0:height:stride, 0:width:stride]
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3))
    listed = np.repeat(np.concatenate(grids).astype(np.float32), anchors, axis=0)
    listed.flags.writeable = False
    return listed


def top_candidates(scores: NDArray[np.float32], confidence: float) -> NDArray[np.intp]:
    """Where ``scores`` (N) has at least ``confidence``: top_candidates first, equals in order, and not more than a bound."""
    likely = np.flatnonzero(scores >= confidence)
    return likely[np.argsort(-scores[likely], kind="stable")[:_MOST_CANDIDATES]]


def to_faces(found: Candidates, overlap: float) -> list[Face]:
    """Candidates -> faces: repeats are suppressed."""
    return [
        Face(Box(*found.boxes[row].tolist()), found.landmarks[row].copy(), float(found.scores[row]))
        for row in nms(found.boxes, overlap)
    ]


def nms(boxes: NDArray[np.float32], overlap: float) -> list[int]:
    """Greedy non-maximum suppression.

    ``boxes``: N x 4 (left, top, right, bottom), top_candidates first. Return the rows to keep: each overlaps every better
    kept one by at most ``overlap`` (intersection over union).
    """
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    kept: list[int] = []
    rest = np.arange(len(boxes))
    while rest.size:
        top_candidates, rest = rest[0], rest[1:]
        kept.append(int(top_candidates))
        width = np.minimum(right[top_candidates], right[rest]) - np.maximum(left[top_candidates], left[rest])
        height = np.minimum(bottom[top_candidates], bottom[rest]) - np.maximum(top[top_candidates], top[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        rest = rest[shared <= overlap * (area[top_candidates] + area[rest] - shared)]
    return kept
