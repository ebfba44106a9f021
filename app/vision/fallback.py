"""Detection at other scales, for images in which full detection finds no face.

Detectors miss faces that fill the image at their full input size, and faces of a few pixels. Neither pass searches
rotated faces.
"""

import numpy as np

from app.domain import Box, Face, Image
from app.packs.manifest import DetectorSpec
from app.vision.detect.base import MAX_CANDIDATES, Detector, nms, resize_and_pad
from app.vision.rotation import detect_upright

MAX_TILED_SIDE = 2560
"""Longer side in pixels to which an image is reduced before it is cut into tiles: at most 25 tiles of 640 pixels."""
_LARGE_FACE_SIDES = (320, 160)
_OVERLAP = 128  # pixels; more than the largest face that full detection misses
_MAX_IOU = 0.3  # of two faces of different tiles


def detect_large(detector: Detector, image: Image) -> list[Face]:
    """Return the upright faces at the first smaller input size that shows any, most confident first."""
    for side in _LARGE_FACE_SIDES:
        faces = detect_upright(detector, image, side) if side < max(image.shape[:2]) else []
        if faces:
            return faces
    return []


def detect_small(detector: Detector, image: Image, spec: DetectorSpec) -> list[Face]:
    """Return the upright faces of overlapping tiles, most confident first, at most 2,000.

    Return none if full detection does not shrink the image. Faces need a higher confidence than in full detection,
    because many tiles show many objects.
    """
    if max(image.shape[:2]) <= spec.max_side:
        return []
    confidence = (spec.confidence + spec.selection_confidence) / 2
    resized, scale = resize_and_pad(image, MAX_TILED_SIDE)
    rows, columns = (_starts(length, spec.max_side) for length in resized.shape[:2])
    faces = [
        _shifted(face, left, top)
        for top in rows
        for left in columns
        for face in detect_upright(detector, _tile(resized, left, top, spec.max_side))
        if face.confidence >= confidence
    ]
    faces = sorted(faces, key=lambda face: -face.confidence)[:MAX_CANDIDATES]
    boxes = [(face.box.left, face.box.top, face.box.right, face.box.bottom) for face in faces]
    kept = nms(np.array(boxes, np.float32).reshape(-1, 4), _MAX_IOU)
    return [faces[index].scaled(1 / scale) for index in kept]


def _starts(length: int, tile: int) -> list[int]:
    """Return the first pixel of each tile along a side of ``length`` pixels, evenly spaced."""
    count = max(1, -(-(length - _OVERLAP) // (tile - _OVERLAP)))
    return [round(index * max(0, length - tile) / max(1, count - 1)) for index in range(count)]


def _tile(image: Image, left: int, top: int, side: int) -> Image:
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _shifted(face: Face, left: int, top: int) -> Face:
    box = Box(face.box.left + left, face.box.top + top, face.box.right + left, face.box.bottom + top)
    return Face(box, face.landmarks + np.array([left, top], np.float32), face.confidence)
