"""Detect faces whose tones are not those of a photo: negatives, thresholded and posterised images.

Two measures of the visible face, both independent of exposure and contrast:

- The distance of the pixels from the nearest of four grey levels. A photo has a continuum of tones; a thresholded or
  posterised image has few.
- The order of the tones: eyes, eyebrows, nostrils and lips are darker than the skin around them, and skin is more red
  than blue. A negative has the opposite order. ``models/quality/train/tones.py`` fits the weights.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Tones
from app.vision.quality.brightness import OVEREXPOSED, UNDEREXPOSED
from app.vision.quality.crop import FACE_OUTLINE, MAP_SIDE, QualityCrop, cell_shares, inside_cells
from app.vision.quality.visibility import VISIBLE, VisibilityMap

_VALUES = np.arange(256.0)  # of a histogram
_EPSILON = 1e-3
_LEVELS, _LEVEL_UPDATES = 4, 8
_MIN_LEVEL_DISTANCE = 0.125
"""If at least 45 % of the pixels are closer than this to the nearest of four levels, the image is not a photo.

The distance is in standard deviations, averaged over the colour channels. A normal distribution has 0.21; 99.8 % of LFW
are above 0.125 (the limit was chosen on these images).
"""
_LEVEL_DISTANCE_QUANTILE = 0.45
_DARK, _BRIGHT = slice(UNDEREXPOSED + 1), slice(OVEREXPOSED, None)
"""The underexposed and the overexposed values of a histogram.

If a face has only underexposed or only overexposed pixels, they are ignored here; brightness measures them. If it has
both, equal numbers of both are kept, because a thresholded image consists of them.
"""
_MIN_SHARE = 0.02  # a colour channel is skipped if less than this share of the largest channel's pixels remains

_BLOCKS = 14  # tones per row of the map from which the order of the tones is computed
_NEIGHBOURHOOD = 6.0  # sigma in cells of the area with which a cell is compared
_MIN_VISIBLE = 0.15  # share of the face that must be visible; below it, the covered parts are measured, too
_MAX_TONE = 3.0  # standard deviations
_CONTRAST_SHARE = 0.3  # of the contrast of the face; keeps the tones of plain areas, which are noise, small
_COLOUR_WEIGHT = 0.5
_MIN_ORDER = 0.5  # result of the weights below which the tones are those of a negative
_LUMA_OF_BGR = np.array([0.114, 0.587, 0.299], np.float32)
_FACE_CELLS = cell_shares([FACE_OUTLINE])
_LEFT_HALF = _FACE_CELLS.reshape(_BLOCKS, -1, _BLOCKS, MAP_SIDE // _BLOCKS).max(axis=(1, 3)) > 0
_LEFT_HALF &= np.arange(_BLOCKS) < _BLOCKS // 2
"""The blocks of the left half of the face."""

# From models/quality/train/tones.py: the blocks row by row, then red minus green, and green minus blue.
# fmt: off
_WEIGHTS = np.array([
    0.63, 1.52, -0.75, -0.99, 0.79, 1.39, -1.39, -0.97, -2.36, 2.03, -0.54, -0.67, -2.18, 1.01, -0.54, 1.26, -0.16,
    1.37, 0.58, 3.34, 0.4, 1.97, -0.99, 0.95, 0.52, -0.76, -0.41, -0.49, -1.73, -0.7, -1.7, -0.37, -0.4, -0.29, -0.2,
    1.75, -0.37, -2.37, 3.92, 1.92,
])
# fmt: on


def measure_tones(crop: QualityCrop, visibility: VisibilityMap, pixels: NDArray[np.uint8]) -> Tones:
    """Return whether the tones of the face are natural.

    ``pixels``: N x 3, BGR, the visible pixels of the face.
    """
    if not len(pixels):
        return Tones.NATURAL  # brightness and completeness report a face outside the image
    histograms = [_balance_extremes(np.bincount(channel, minlength=256)) for channel in pixels.T]
    has_few_levels = _mean_level_distance(histograms) < _MIN_LEVEL_DISTANCE
    is_negative = float(tone_features(crop, visibility) @ _WEIGHTS) < _MIN_ORDER
    return Tones.UNNATURAL if has_few_levels or is_negative else Tones.NATURAL


def tone_features(crop: QualityCrop, visibility: VisibilityMap) -> NDArray[np.float64]:
    """Return 40 values: the tones of 38 blocks of the left half of the face, and two colour differences.

    The blocks are those of a 14 x 14 map, row by row, averaged with the right half. The differences are red minus green
    and green minus blue, in standard deviations of the luma, weighted.

    Each cell is compared with its neighbourhood, so that light from one side has no effect.
    """
    inside = _FACE_CELLS * inside_cells(crop.inside)
    mask = inside * (visibility > VISIBLE)
    if mask.sum() < _MIN_VISIBLE * _FACE_CELLS.sum():
        mask = inside
    cells = cv2.resize(crop.image, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    luma = cells @ _LUMA_OF_BGR
    weight = _smooth(mask) + _EPSILON
    detail = (luma - _smooth(luma * mask) / weight) * mask
    total = max(float(mask.sum()), _EPSILON)
    contrast = math.sqrt(float(np.square(detail).sum()) / total)
    tones = detail / (np.sqrt(_smooth(detail**2) / weight) + _CONTRAST_SHARE * contrast + 1) * mask
    blocks = np.clip(tones, -_MAX_TONE, _MAX_TONE).reshape(_BLOCKS, -1, _BLOCKS, MAP_SIDE // _BLOCKS).mean(axis=(1, 3))
    symmetric = (blocks + blocks[:, ::-1])[_LEFT_HALF] / 2
    mean = np.tensordot(mask, cells, 2) / total
    deviation = max(math.sqrt(float((mask * np.square(luma - mean @ _LUMA_OF_BGR)).sum()) / total), 1.0)
    colour = _COLOUR_WEIGHT * np.array([mean[2] - mean[1], mean[1] - mean[0]]) / deviation
    return np.concatenate([symmetric, colour]).astype(np.float64)


def level_distance(histogram: NDArray[np.float64]) -> float:
    """Return the 45 % quantile of the distances from the nearest of four levels, in standard deviations.

    The levels are those with the least squared error (Lloyd's algorithm). ``histogram``: the number of pixels of each
    value (256).
    """
    count, total = (np.concatenate([[0.0], np.cumsum(values)]) for values in (histogram, histogram * _VALUES))
    starts = (np.arange(_LEVELS) + 0.5) / _LEVELS * count[-1]
    levels = np.interp(starts, count[1:], _VALUES)
    for _ in range(_LEVEL_UPDATES):
        bounds = np.concatenate([[0], np.floor((levels[1:] + levels[:-1]) / 2).astype(int) + 1, [256]])
        counts = np.diff(count[bounds])
        levels = np.sort(np.where(counts > 0, np.diff(total[bounds]) / np.maximum(counts, _EPSILON), levels))
    distances = np.abs(_VALUES[:, None] - levels).min(axis=1)
    order = np.argsort(distances)
    row = np.searchsorted(np.cumsum(histogram[order]), _LEVEL_DISTANCE_QUANTILE * count[-1])
    return float(distances[order][row]) / _deviation(histogram)


def _mean_level_distance(histograms: list[NDArray[np.float64]]) -> float:
    total = max(float(histogram.sum()) for histogram in histograms)
    distances = [level_distance(histogram) for histogram in histograms if histogram.sum() > _MIN_SHARE * total]
    return float(np.mean(distances)) if distances else math.inf


def _balance_extremes(histogram: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the histogram with as many underexposed as overexposed pixels: the smaller of the two numbers."""
    weights = histogram.astype(np.float64)
    dark, bright = weights[_DARK].sum(), weights[_BRIGHT].sum()
    fewest = min(dark, bright)
    weights[_DARK] *= fewest / max(dark, 1.0)
    weights[_BRIGHT] *= fewest / max(bright, 1.0)
    return weights


def _deviation(histogram: NDArray[np.float64]) -> float:
    """Return the standard deviation, at least one grey level."""
    total = max(float(histogram.sum()), 1.0)
    mean = float(histogram @ _VALUES) / total
    return max(math.sqrt(float(histogram @ np.square(_VALUES - mean)) / total), 1.0)


def _smooth(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(cells, (0, 0), _NEIGHBOURHOOD), np.float32)
