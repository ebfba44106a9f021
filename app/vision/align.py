"""Similarity transforms (rotation, uniform scale, shift), and the aligned crop for the embedder.

A transform is a 2 x 3 float64 matrix that maps points (x, y) in pixels of one image to pixels of another.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Image, Landmarks

_MIN_BILINEAR_SCALE = 0.5  # below this scale bilinear sampling skips pixels, so the image is area-averaged first


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the transform that maps N x 2 ``source`` points to ``target`` points with the least squared error.

    The reflection-free case of Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point
    Patterns", 1991: with points as complex numbers, one division.
    """
    a = source[:, 0] + 1j * source[:, 1].astype(np.float64)
    b = target[:, 0] + 1j * target[:, 1].astype(np.float64)
    centre = a.mean()
    centred = a - centre
    factor = np.vdot(centred, b) / max(np.vdot(centred, centred).real, np.finfo(np.float64).tiny)
    shift = b.mean() - factor * centre
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def apply_inverse(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> Landmarks:
    """Return the points that ``matrix`` maps to ``points``; both N x 2, the result float32."""
    factor, shift = complex(matrix[0, 0], matrix[1, 0]), complex(matrix[0, 2], matrix[1, 2])
    inverse = (points[:, 0] + 1j * points[:, 1].astype(np.float64) - shift) / factor
    return np.stack([inverse.real, inverse.imag], axis=1).astype(np.float32)


def align(image: Image, landmarks: Landmarks, template: NDArray[np.float32], side: int) -> Crop:
    """Return the ``side`` x ``side`` crop of ``image`` in which ``landmarks`` lie on ``template`` (5 x 2, pixels)."""
    return warp_crop(image, similarity_transform(landmarks, template), side)


def warp_crop(image: Image, matrix: NDArray[np.float64], side: int) -> Crop:
    """Return ``side`` x ``side`` pixels of ``image`` transformed by ``matrix``; black outside the image."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if scale < _MIN_BILINEAR_SCALE:
        image, matrix = _shrink(image, matrix, scale, side)
    crop = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return crop.astype(np.uint8, copy=False)


def _shrink(image: Image, matrix: NDArray[np.float64], scale: float, side: int) -> tuple[Image, NDArray[np.float64]]:
    """Return the part of ``image`` that the crop shows, averaged over square blocks, and the adapted matrix."""
    factor = int(min(1.0 / max(scale, 1e-6), *image.shape[:2]))  # the scale is 0 if all landmarks coincide
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], dtype=np.float64)
    corners_in_image = cv2.transform(corners[None], cv2.invertAffineTransform(matrix))[0]
    left, top = np.maximum(np.floor(corners_in_image.min(axis=0)).astype(int) - factor, 0)
    right, bottom = np.ceil(corners_in_image.max(axis=0)).astype(int) + factor
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < factor:
        return image, matrix
    # Pixel centres: x = left + (x' + 0.5) * factor - 0.5
    centre = (factor - 1) / 2
    adapted = matrix.copy()
    adapted[:, :2] *= factor
    adapted[:, 2] += matrix[:, :2] @ np.array([left + centre, top + centre])
    return average_blocks(part, factor), adapted


def average_blocks(image: Image, factor: int) -> Image:
    """Return the means of ``factor`` x ``factor`` pixels; incomplete blocks at the right and the bottom are dropped."""
    height, width = (side // factor for side in image.shape[:2])
    blocks = image[: height * factor, : width * factor]
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
