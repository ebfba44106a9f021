"""Face in a picture -> square crop in the embedder's standard pose.

The five landmarks are brought onto the pack's template by the similarity (rotation, uniform scale, shift) of least
squared error; with points as complex numbers it is one division (the reflection-free case of Umeyama, 1991).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Image, Landmarks

_FINEST = 0.5
"""Below this scale bilinear sampling skips pixels; the picture is area-averaged first."""
_COARSEST = 1e-6
"""Landmarks in one point would have scale 0."""


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the 2 x 3 matrix that maps N x 2 ``source`` points closest to N x 2 ``target`` points."""
    a = source[:, 0] + 1j * source[:, 1].astype(np.float64)
    b = target[:, 0] + 1j * target[:, 1].astype(np.float64)
    middle = a.mean()
    centred = a - middle
    turn = np.vdot(centred, b) / max(np.vdot(centred, centred).real, np.finfo(np.float64).tiny)
    shift = b.mean() - turn * middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(image: Image, landmarks: Landmarks, template: NDArray[np.float32], side: int) -> Crop:
    """Return the ``side`` x ``side`` crop of ``image`` in which ``landmarks`` lie on ``template`` (5 x 2, pixels)."""
    return cut(image, similarity(landmarks, template), side)


def cut(image: Image, matrix: NDArray[np.float64], side: int) -> Crop:
    """Return ``side`` x ``side`` pixels of ``image``: its point p lies at ``matrix`` (2 x 3, a similarity) times p.

    What lies outside the picture is black.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < _FINEST:
        image, matrix = _shrink(image, matrix, scale, side)
    crop = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return crop.astype(np.uint8, copy=False)


def _shrink(image: Image, matrix: NDArray[np.float64], scale: float, side: int) -> tuple[Image, NDArray[np.float64]]:
    """Cut out the part that the crop shows and area-average it by a whole factor; adapt ``matrix`` to it."""
    factor = int(min(1.0 / max(scale, _COARSEST), *image.shape[:2]))
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], dtype=np.float64)
    inside = cv2.transform(corners[None], cv2.invertAffineTransform(matrix))[0]
    left, top = np.maximum(np.floor(inside.min(axis=0)).astype(int) - factor, 0)
    right, bottom = np.ceil(inside.max(axis=0)).astype(int) + factor
    part = image[top:bottom, left:right]
    width, height = part.shape[1] // factor, part.shape[0] // factor
    if not width or not height:
        return image, matrix
    part = part[: height * factor, : width * factor]
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    # pixel centres: x = left + (x' + 0.5) * factor - 0.5
    centre = (factor - 1) / 2
    adapted = matrix.copy()
    adapted[:, :2] *= factor
    adapted[:, 2] += matrix[:, :2] @ np.array([left + centre, top + centre])
    return small, adapted
