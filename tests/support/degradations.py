"""Degradations of a quality crop in increasing steps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Image
from app.vision.quality.crop import SIDE


class Ladder(NamedTuple):
    """``degrade(image, step)`` returns a quality crop at a step; ``sign`` is 1 if the measure should rise."""

    degrade: Callable[[Image, float], Image]
    steps: Sequence[float]
    sign: int


def focus(image: Image, sigma: float) -> Image:
    """Return a Gaussian blur of ``sigma`` pixels."""
    return image if sigma == 0 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def motion_blur(image: Image, length: float) -> Image:
    """Return motion blur of ``length`` (odd) pixels at 30 degrees."""
    half = int(length) // 2
    kernel = np.zeros((2 * half + 3, 2 * half + 3), np.float32)
    for offset in np.linspace(-half, half, 8 * half + 1):
        x, y = 1 + half + offset * np.cos(np.pi / 6), 1 + half + offset * np.sin(np.pi / 6)
        kernel[round(y), round(x)] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def shrink(image: Image, eye_distance: float) -> Image:
    """Return the crop of a photo whose eyes are ``eye_distance`` pixels apart."""
    side = round(SIDE * eye_distance / 60)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def jpeg(image: Image, quality: float) -> Image:
    """Return ``image`` after JPEG compression."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def noisy(image: Image, deviation: float) -> Image:
    """Return ``image`` with noise of ``deviation`` grey levels per channel."""
    noise = np.random.default_rng(0).normal(0, deviation, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255).round(), np.uint8)


def gamma(image: Image, exponent: float) -> Image:
    """Return a gamma correction; exponents above 1 darken the midtones."""
    return np.asarray(((np.arange(256) / 255) ** exponent * 255).round(), np.uint8)[image]


def exposure(image: Image, stops: float) -> Image:
    """Return ``image`` with twice the light per stop, clipped."""
    values = np.arange(256) / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4) * 2**stops
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray((encoded * 255).round(), np.uint8)[image]


SHARPNESS_LADDERS = {
    "blur, sigma 0 to 6 px": Ladder(focus, (0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6), -1),
    "motion, 1 to 25 px": Ladder(motion_blur, (1, 5, 9, 13, 17, 21, 25), -1),
    "down-sampled, eyes 60 to 8 px apart": Ladder(shrink, (60, 45, 30, 20, 15, 12, 10, 8), 1),
    "JPEG quality 95 to 5": Ladder(jpeg, (95, 80, 60, 40, 20, 10, 5), 1),
}
BRIGHTNESS_LADDERS = {
    "gamma 0.3 to 3": Ladder(gamma, (0.3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3), -1),
    "exposure -4 to 2 stops": Ladder(exposure, (-4, -3, -2, -1, 0, 1, 2), 1),
}
HARMLESS_LADDERS = {
    "noise, 0 to 12 grey levels": Ladder(noisy, (0, 3, 6, 9, 12), 0),
    "gamma 0.5 to 2": Ladder(gamma, (0.5, 0.7, 1, 1.4, 2), 0),
    "exposure -2 to 0 stops": Ladder(exposure, (-2, -1, 0), 0),
}
"""Changes that should leave sharpness alone."""
