"""Measure the sharpness of a face, 0-100.

The blur is estimated first: the sigma, in pixels of the quality crop, of the Gaussian blur that gives a sharp face the
same detail. A fixed curve converts the blur to points. The features are the amounts of fine detail without noise,
relative to coarse detail, so that contrast, exposure and skin have no effect. The estimate is linear in the logarithms
of the features; ``models/quality/train/sharpness.py`` fits it to known blur.
"""

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import FACE_OUTLINE, REGIONS, QualityCrop, polygon_mask

MIN_BLUR = 0.5
"""Pixels; the linear model predicts log(hypot(blur, MIN_BLUR)): less blur than that of a pixel cannot be measured."""
_HALF_POINTS_BLUR, _STEEPNESS = 3.2, 1.83
"""Pixels of blur at 50 points, and the slope of the curve: 1.5 px gives 80 points (sharp), 2.5 px 61, 4 px 40."""

# From models/quality/train/sharpness.py.
# fmt: off
_WEIGHTS = np.array([
    -0.2459, -0.5789, -0.0865, 1.025, 3.6454, -3.5599, 4.2793, -0.9959, 0.2057, -0.091, -2.0978, -0.2382, 2.5854,
    -0.7467, 0.5292, 0.9283, 0.4798, -1.5431, 0.0102, -0.2104, 0.2127, 0.1458, 0.6561, -0.5712, 0.2306,
])
_CONSTANT = 3.1612
# fmt: on

_SCALES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
"""Sigmas in pixels; a band of detail lies between two adjacent scales. Finer detail is mostly noise."""
_FINE, _COARSE = slice(0, 4), slice(4, None)
"""Features are divided by the contrast, the sum of the coarse bands, which every recognisable face has.

The 90th percentile (edges) and the 25th percentile (texture) of fine bands are features, too: compression removes
texture and keeps edges.
"""
_PATCH = (5, 5)  # pixels over which detail is averaged before its first quartile
_GRADIENT_SCALES = (0, 2, 4)  # scales whose weakest gradient direction is a feature: motion blurs only one direction
_EPSILON = 0.05  # grey levels; keeps logarithms finite
_MIN_SIGNAL = 0.3  # lowest share of a band that counts as detail, however strong the noise is
_ABS_MEAN, _ABS_QUARTILE, _ABS_DECILE = 0.798, 0.319, 1.645
"""Mean, first quartile and ninth decile of the absolute value of a standard normal variable."""
_MARGIN = 9
"""Side of the neighbourhood of a pixel that must be inside the image, so that the image's edge is not measured."""
_MIN_FACE = 0.1  # share of the face that must be inside the image

_LEFT, _TOP = np.min(FACE_OUTLINE, axis=0) - _MARGIN
_RIGHT, _BOTTOM = np.max(FACE_OUTLINE, axis=0) + _MARGIN
_WINDOW = slice(_TOP, _BOTTOM), slice(_LEFT, _RIGHT)  # the part of the crop that is measured: the face and a margin


def measure_sharpness(crop: QualityCrop) -> int:
    """Return the sharpness, 0-100; from 80 sharp, 0 for a face outside the image or without contrast."""
    features = blur_features(crop)
    if features is None:
        return 0
    return round(100 / (1 + math.pow(estimate_blur(features) / _HALF_POINTS_BLUR, _STEEPNESS)))


def estimate_blur(
    features: NDArray[np.float64], weights: NDArray[np.float64] = _WEIGHTS, constant: float = _CONSTANT
) -> float:
    """Return the blur of a face with these ``blur_features``, in pixels of the crop."""
    total = float(np.exp(features @ weights + constant))
    return math.sqrt(max(total**2 - MIN_BLUR**2, 0.0))


def blur_features(crop: QualityCrop) -> NDArray[np.float64] | None:
    """Return the 25 features of the estimate, or None if too little of the face is in the image or has contrast."""
    face, detailed = _FACE, _DETAILED
    if not crop.inside.all():
        inside = cv2.erode(crop.inside.astype(np.uint8), np.ones((_MARGIN, _MARGIN), np.uint8), borderValue=1)
        face, detailed = (mask & inside[_WINDOW].astype(bool) for mask in (_FACE, _DETAILED))
    if face.sum() < _MIN_FACE * _FACE.sum():
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(crop.image[_WINDOW]), cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey[~crop.inside[_WINDOW]] = grey[face].mean()  # a black border would be the strongest coarse detail
    levels = _blur_levels(grey)
    bands = [np.abs(finer - coarser) for finer, coarser in pairwise(levels)]
    means = np.array([band[face].mean() for band in bands], np.float64)
    contrast = float(means[_COARSE].sum())
    if contrast < 1:
        return None
    noise = _NOISE_PER_BAND * float(np.percentile(np.abs(grey - levels[0])[face], 25)) / _ABS_QUARTILE
    detailed_means = np.array([band[detailed].mean() for band in bands]) if detailed.any() else means
    ninth_deciles = np.array([np.percentile(band[face], 90) for band in bands[_FINE]])
    first_quartiles = np.array([np.percentile(cv2.blur(band, _PATCH)[face], 25) for band in bands[_FINE]])
    amounts = np.concatenate(
        [
            _without_noise(means, _ABS_MEAN * noise),
            _without_noise(detailed_means, _ABS_MEAN * noise),
            _without_noise(ninth_deciles, _ABS_DECILE * noise[_FINE]),
            _without_noise(first_quartiles, _ABS_MEAN * noise[_FINE]),
            [_weakest_gradient(levels[scale], face) for scale in _GRADIENT_SCALES],
        ]
    )
    return np.asarray(np.log((amounts + _EPSILON) / (contrast + _EPSILON)))


def _blur_levels(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return ``image`` blurred at each of ``_SCALES``."""
    levels = []
    for finer, coarser in zip((0.0, *_SCALES), _SCALES, strict=False):
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), math.sqrt(coarser**2 - finer**2)), np.float32)
        levels.append(image)
    return levels


def _without_noise(amounts: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amounts of detail without ``noise``; the variances of detail and noise add up to ``amounts**2``."""
    return np.sqrt(np.maximum(amounts**2 - noise**2, (_MIN_SIGNAL * amounts) ** 2))


def _weakest_gradient(level: NDArray[np.float32], face: NDArray[np.bool_]) -> float:
    """Return the root mean square of the gradient along the weakest of four directions."""
    dx = cv2.Sobel(level, cv2.CV_32F, 1, 0)[face]
    dy = cv2.Sobel(level, cv2.CV_32F, 0, 1)[face]
    xx, yy, xy = (float(np.mean(product)) for product in (dx**2, dy**2, dx * dy))
    return math.sqrt(max(min(xx, yy, (xx + yy) / 2 - abs(xy)), 0.0))


def _noise_per_band() -> NDArray[np.float64]:
    """Return the standard deviation of white noise in each band, divided by that in ``image - levels[0]``.

    The noise of a face is measured in that difference, the detail finer than the first scale.
    """
    impulse = np.zeros((97, 97), np.float32)
    impulse[48, 48] = 1
    levels = _blur_levels(impulse)
    norms = [float(np.linalg.norm(finer - coarser)) for finer, coarser in pairwise(levels)]
    return np.array(norms) / float(np.linalg.norm(impulse - levels[0]))


_FACE = polygon_mask([FACE_OUTLINE])[_WINDOW].astype(bool)
_DETAILED = _FACE & cv2.dilate(
    polygon_mask([*REGIONS["eyebrow"], *REGIONS["eye"], *REGIONS["mouth"]])[_WINDOW],
    np.ones((_MARGIN, _MARGIN), np.uint8),
).astype(bool)
"""Pixels near eyebrows, eyes and mouth, where every face has edges."""
_NOISE_PER_BAND = _noise_per_band()
