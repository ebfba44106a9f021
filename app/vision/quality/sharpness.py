"""Quality crop -> how sharp the face is, 0-100.

First the blur is estimated: the sigma, in pixels of the crop, of the Gaussian blur that would cost a sharp face as much
detail. Then a fixed curve makes it points. What is looked at is how much detail of each size the face has, less what
noise would have, relative to its coarse detail, so that contrast, exposure and skin do not matter. The estimate is
linear in the logarithms of these; ``models/quality/train/sharpness.py`` fits it to known blur.
"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.vision.quality.crop import SIDE, QualityCrop
from app.vision.quality.regions import FACE, POLYGONS

FLOOR = 0.5
"""Pixels; the estimate is log(hypot(blur, FLOOR)): less blur than a pixel's own cannot be seen."""
_HALF, _STEEPNESS = 3.2, 1.83
"""Pixels of blur that give 50 points, and how fast points go: 1.5 px give 80 (sharp), 2.5 px 61, 4 px 40."""

# From models/quality/train/sharpness.py.
# fmt: off
_WEIGHTS = np.array([
    -0.2459, -0.5789, -0.0865, 1.025, 3.6454, -3.5599, 4.2793, -0.9959, 0.2057, -0.091, -2.0978, -0.2382, 2.5854,
    -0.7467, 0.5292, 0.9283, 0.4798, -1.5431, 0.0102, -0.2104, 0.2127, 0.1458, 0.6561, -0.5712, 0.2306,
])
_CONSTANT = 3.1612
# fmt: on

_SCALES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
"""Sigmas in pixels of the crop; a band of detail lies between each and the next. What is finer only tells noise."""
_COARSE = slice(4, None)
"""The bands that stay where a face can be made out at all: the contrast that the others relate to."""
_FINE = slice(0, 4)
"""The bands of which the strongest tenth and the plainest quarter are looked at too: compression spares edges only."""
_PATCH = (5, 5)
"""Pixels of the patches that are more or less plain."""
_DIRECTED = (0, 2, 4)
"""The scales at which the direction with the least detail is looked at: motion blurs only one."""
_QUANTUM = 0.05
"""Grey levels that are nothing; keeps logarithms finite."""
_KEPT = 0.3
"""The least share of a band that is detail, however strong the noise."""
_MEAN, _QUARTER, _NINE_TENTHS = 0.798, 0.319, 1.645
"""Mean, first quartile and ninth decile of the absolute value of a normal variable of variance 1."""
_NEAR = 9
"""Side of the neighbourhood that a pixel needs inside the picture, so that the picture's edge is no detail."""
_LEAST = 0.1
"""Share of the face that must lie in the picture, for a measurement."""

_CORNERS = np.array(FACE)
_WINDOW = (
    slice(int(_CORNERS[:, 1].min()) - _NEAR, int(_CORNERS[:, 1].max()) + _NEAR),
    slice(int(_CORNERS[:, 0].min()) - _NEAR, int(_CORNERS[:, 0].max()) + _NEAR),
)


def sharpness(crop: QualityCrop) -> int:
    """Return 0-100; 80 and more is sharp. 0 for a face that lies outside the picture or has no contrast."""
    seen = features(crop)
    if seen is None:
        return 0
    return round(100 / (1 + math.pow(blur(seen) / _HALF, _STEEPNESS)))


def blur(seen: NDArray[np.float64]) -> float:
    """Return the blur of a face with these ``features``, in pixels of the crop."""
    total = float(np.exp(seen @ _WEIGHTS + _CONSTANT))
    return math.sqrt(max(total**2 - FLOOR**2, 0.0))


def features(crop: QualityCrop) -> NDArray[np.float64] | None:
    """Return 25 numbers that tell blur; None where too little of the face is in the picture, or nothing in it."""
    face, parts = _FACE, _PARTS
    if not crop.inside.all():
        inside = cv2.erode(crop.inside.astype(np.uint8), np.ones((_NEAR, _NEAR), np.uint8), borderValue=1)
        face, parts = (mask & inside[_WINDOW].astype(bool) for mask in (_FACE, _PARTS))
    if face.sum() < _LEAST * _FACE.sum():
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(crop.image[_WINDOW]), cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey[~crop.inside[_WINDOW]] = grey[face].mean()  # black there would be the coarsest detail of all
    levels = _levels(grey)
    bands = [np.abs(finer - coarser) for finer, coarser in pairwise(levels)]
    means = np.array([band[face].mean() for band in bands], np.float64)
    contrast = float(means[_COARSE].sum())
    if contrast < 1:
        return None
    noise = _NOISE * float(np.percentile(np.abs(grey - levels[0])[face], 25)) / _QUARTER
    at_parts = np.array([band[parts].mean() for band in bands]) if parts.any() else means
    edges = np.array([np.percentile(band[face], 90) for band in bands[_FINE]])
    plains = np.array([np.percentile(cv2.blur(band, _PATCH)[face], 25) for band in bands[_FINE]])
    amounts = np.concatenate(
        [
            _without(means, _MEAN * noise),
            _without(at_parts, _MEAN * noise),
            _without(edges, _NINE_TENTHS * noise[_FINE]),
            _without(plains, _MEAN * noise[_FINE]),
            [_least_gradient(levels[scale], face) for scale in _DIRECTED],
        ]
    )
    return np.asarray(np.log((amounts + _QUANTUM) / (contrast + _QUANTUM)))


def _levels(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the image blurred at each scale."""
    levels = []
    for finer, coarser in zip((0.0, *_SCALES), _SCALES, strict=False):
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), math.sqrt(coarser**2 - finer**2)), np.float32)
        levels.append(image)
    return levels


def _without(amounts: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amounts of detail that add up with ``noise`` to these; variances add."""
    return np.sqrt(np.maximum(amounts**2 - noise**2, (_KEPT * amounts) ** 2))


def _least_gradient(level: NDArray[np.float32], face: NDArray[np.bool_]) -> float:
    """Return the root mean square of the gradient along the one of four directions in which it is least."""
    across = cv2.Sobel(level, cv2.CV_32F, 1, 0)[face]
    down = cv2.Sobel(level, cv2.CV_32F, 0, 1)[face]
    xx, yy, xy = (float(np.mean(product)) for product in (across**2, down**2, across * down))
    return math.sqrt(max(min(xx, yy, (xx + yy) / 2 - abs(xy)), 0.0))


def _drawn(*polygons: object) -> NDArray[np.uint8]:
    image = np.zeros((SIDE, SIDE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(image, [np.array(polygon, np.int32)], 1)
    return image[_WINDOW]


def _noise() -> NDArray[np.float64]:
    """Return how strong white noise is in each band, relative to what is finer: the norms of their filters."""
    point = np.zeros((97, 97), np.float32)
    point[48, 48] = 1
    levels = _levels(point)
    norms = [float(np.linalg.norm(finer - coarser)) for finer, coarser in pairwise(levels)]
    return np.array(norms) / float(np.linalg.norm(point - levels[0]))


_FACE = _drawn(FACE).astype(bool)
_PARTS = _FACE & cv2.dilate(
    _drawn(*POLYGONS["eyebrow"], *POLYGONS["eye"], *POLYGONS["mouth"]), np.ones((_NEAR, _NEAR), np.uint8)
).astype(bool)
"""Where every face has edges."""
_NOISE = _noise()
