"""Degrade sharp, evenly lit images as cameras do: motion blur, light, noise and compression."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """Return the kernel of a linear motion by ``length`` pixels at ``angle`` radians."""
    half = int(length / 2) + 2
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-length / 2, length / 2, 4 * len(kernel)):
        x, y = half + step * np.cos(angle), half + step * np.sin(angle)
        left, top = int(x), int(y)
        kernel[top : top + 2, left : left + 2] += np.outer([top + 1 - y, y - top], [left + 1 - x, x - left])
    return np.asarray(kernel / kernel.sum(), np.float32)


def disc_kernel(radius: float) -> NDArray[np.float32]:
    """Return the kernel of a lens out of focus: a disc of ``radius`` pixels, whose sigma is half the radius."""
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def relight(image: Image, rng: np.random.Generator) -> Image:
    """Return ``image`` with random gamma, exposure, contrast, side light and noise, but without blur."""
    values = image / 255.0
    side = image.shape[0]
    if rng.random() < 0.7:
        values **= np.exp(rng.uniform(-0.7, 0.7))
    if rng.random() < 0.5:
        values *= np.exp(rng.uniform(np.log(0.2), np.log(1.3)))
    if rng.random() < 0.3:
        values = 0.5 + (values - 0.5) * rng.uniform(0.4, 1.3)
    if rng.random() < 0.25:
        y, x = np.mgrid[:side, :side] / side - 0.5
        angle = rng.uniform(0, 2 * np.pi)
        depth = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(-0.1, 0.3)
        values *= (rng.uniform(0.03, 0.3) + 0.9 / (1 + np.exp(-rng.uniform(2, 8) * depth)))[..., None]
    if rng.random() < 0.6:
        channels = rng.choice((1, 3))
        values = values + rng.normal(0, rng.uniform(0, 12) / 255, (side, side, channels))
    return np.asarray(np.clip(values, 0, 1) * 255, np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    """Return ``image`` after JPEG compression; quality 0 returns it unchanged."""
    if not quality:
        return image
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
