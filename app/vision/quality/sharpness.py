"""Measure the sharpness of a face, 0-100.

The blur is estimated first: the sigma, in pixels of the quality crop, of the Gaussian blur that gives a sharp face the
same detail. A fixed curve converts the blur to points. The features are the amounts of fine detail without noise,
relative to coarse detail, so that contrast, exposure and skin have no effect. Motion removes detail along one direction
only, so detail along the direction with the least is measured, too. ``models/quality/train/sharpness.py`` fits the
estimate, which is linear in the features, to known blur.
"""

import math
from collections.abc import Sequence
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
    -0.1208, -0.1714, 0.0107, 0.0973, 1.2306, 1.7054, 3.0452, -0.5051, -0.4229, -0.3455, -0.6367, 0.0263, 0.9634,
    0.0581, 0.4706, 0.6918, 0.5059, -0.6907, -0.0719, -0.1651, 0.0359, 0.2849, 0.0408, -0.4755, -1.0722, -1.3439,
    -0.904, 0.3914, 1.2751, 0.8145, 4.6048, 2.8585, 1.8863, 7.3932, 9.9534, -1.5077, 3.7191, 0.0959, -0.0052, -0.2436,
    -0.3932, 2.4911, -0.5962, -0.6444,
])
_CONSTANT = 5.71
# fmt: on

_SCALES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
"""Sigmas in pixels; a band of detail lies between two adjacent scales. Finer detail is mostly noise."""
_FINE, _COARSE = slice(0, 4), slice(4, None)
"""Features are divided by the contrast, the sum of the coarse bands, which every recognisable face has.

The 90th percentile (edges) and the 25th percentile (texture) of fine bands are features, too: compression removes
texture and keeps edges.
"""
_PATCH = (5, 5)  # pixels over which detail is averaged before its first quartile
_DIRECTION_SCALE = 2  # index of the scale at which the direction with the least detail is determined
_EPSILON = 0.05  # grey levels; keeps logarithms finite
_MIN_SIGNAL = 0.3  # lowest share of a band that counts as detail, however strong the noise is
_SOBEL_SCALE = 1 / 8  # makes the Sobel filter return grey levels per pixel
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
    """Return the 44 features of the estimate, or None if too little of the face is in the image or has contrast."""
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
    white_noise = float(np.percentile(np.abs(grey - levels[0])[face], 25)) / _ABS_QUARTILE
    noise = _NOISE_PER_BAND * white_noise
    detailed_means = np.array([band[detailed].mean() for band in bands]) if detailed.any() else means
    ninth_deciles = np.array([np.percentile(band[face], 90) for band in bands[_FINE]])
    first_quartiles = np.array([np.percentile(cv2.blur(band, _PATCH)[face], 25) for band in bands[_FINE]])
    amounts = np.concatenate(
        [
            _without_noise(means, _ABS_MEAN * noise),
            _without_noise(detailed_means, _ABS_MEAN * noise),
            _without_noise(ninth_deciles, _ABS_DECILE * noise[_FINE]),
            # Averaging over _PATCH moves the first quartile of noise from _ABS_QUARTILE to 0.58-0.70, towards its mean,
            # which is used as an upper limit.
            _without_noise(first_quartiles, _ABS_MEAN * noise[_FINE]),
            _without_noise(_weakest_gradients(levels, face), _NOISE_PER_GRADIENT * white_noise),
        ]
    )
    features = np.log((amounts + _EPSILON) / (contrast + _EPSILON))
    means_of_bands, along_direction = features[: len(bands)], features[-len(_SCALES) :]
    # Motion blur: along one direction, little detail at fine scales and much at coarse ones, and less than in the mean.
    squares = [np.diff(along_direction) ** 2, (means_of_bands - along_direction[:-1]) ** 2]
    return np.concatenate([features, *squares])


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


def _weakest_gradients(levels: Sequence[NDArray[np.float32]], face: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the root mean square of the gradient of each level along one direction, that with the least detail."""
    gradients = [(_sobel(level, 1, 0)[face], _sobel(level, 0, 1)[face]) for level in levels]
    dx, dy = gradients[_DIRECTION_SCALE]
    angle = (math.atan2(2 * float(dx @ dy), float(dx @ dx - dy @ dy)) + math.pi) / 2
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return np.array([float(np.linalg.norm(cos * dx + sin * dy)) for dx, dy in gradients]) / math.sqrt(len(dx))


def _sobel(image: NDArray[np.float32], dx: int, dy: int) -> NDArray[np.float32]:
    return np.asarray(cv2.Sobel(image, cv2.CV_32F, dx, dy, scale=_SOBEL_SCALE), np.float32)


def _noise_norms() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the standard deviation of white noise in each band, and in the gradient of each level along one direction.

    Both are divided by that in ``image - levels[0]``, the detail finer than the first scale, where noise is measured.
    """
    impulse = np.zeros((97, 97), np.float32)
    impulse[48, 48] = 1
    levels = _blur_levels(impulse)
    bands = [float(np.linalg.norm(finer - coarser)) for finer, coarser in pairwise(levels)]
    gradients = [float(np.linalg.norm(_sobel(level, 1, 0))) for level in levels]
    norm = float(np.linalg.norm(impulse - levels[0]))
    return np.array(bands) / norm, np.array(gradients) / norm


_FACE = polygon_mask([FACE_OUTLINE])[_WINDOW].astype(bool)
_DETAILED = _FACE & cv2.dilate(
    polygon_mask([*REGIONS["eyebrow"], *REGIONS["eye"], *REGIONS["mouth"]])[_WINDOW],
    np.ones((_MARGIN, _MARGIN), np.uint8),
).astype(bool)
"""Pixels near eyebrows, eyes and mouth, where every face has edges."""
_NOISE_PER_BAND, _NOISE_PER_GRADIENT = _noise_norms()
