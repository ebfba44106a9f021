"""Degraded images for ``benchmarks.quality``: held-out people of LFW, 250 x 250 pixels, degraded before detection."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.domain import Image, QualityPolicy
from app.vision.quality.assessment import QualityAssessment, accepts
from models.quality.train.degrade import disc_kernel, jpeg, motion_kernel

Assess = Callable[[bytes], QualityAssessment | None]
"""Detects the target face of an encoded image and assesses it; None if no face is detected."""

_MOTION, _SIGMA, _RADIUS, _FACE_SHARE = 25, 4, 6, 0.28
_COUNT, _SEED = 300, 0


def _filtered(kernel: np.ndarray, image: Image) -> Image:
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def _upscaled(image: Image) -> Image:
    """Return an image whose face (about 100 pixels in LFW) was 28 pixels wide."""
    small = cv2.resize(image, None, fx=_FACE_SHARE, fy=_FACE_SHARE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def negative(image: Image) -> Image:
    return np.asarray(255 - image, np.uint8)


def thresholded(image: Image) -> Image:
    """Return black and white pixels; the threshold is the median of the middle of the image."""
    middle = grey(image)[60:190, 60:190]
    return np.asarray(np.where(grey(image) > np.median(middle), 255, 0), np.uint8)


def posterised(levels: int, image: Image) -> Image:
    return np.asarray(np.floor(image / 256 * levels) * (255 / (levels - 1)), np.uint8)


def _grey_levels(levels: int, image: Image) -> Image:
    return posterised(levels, grey(image))


def watermarked(image: Image) -> Image:
    """Return the image with rows of red text that hides 60 % of what is below it."""
    text = image.copy()
    for y in range(20, image.shape[0] + 60, 50):
        cv2.putText(text, "SAMPLE COPY", (y * 7 % 40 - 10, y), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 255), 4)
    return np.asarray(cv2.addWeighted(text, 0.6, image, 0.4, 0), np.uint8)


def _wave_lines(width: int, image: Image) -> Image:
    """Return the image with opaque black lines every 14 pixels, as ID photos are overprinted."""
    drawn, x = image.copy(), np.arange(image.shape[1])
    for y in range(0, image.shape[0] + 10, 14):
        line = np.stack([x, y + 4 * np.sin(x / 12)], axis=1).round().astype(np.int32)
        cv2.polylines(drawn, [line], False, (0, 0, 0), width)
    return drawn


DEGRADATIONS: Mapping[str, Callable[[Image], Image]] = {
    "none": lambda image: image,
    "grey": grey,
    **{
        f"motion of {_MOTION} px at {degrees} degrees": partial(
            _filtered, motion_kernel(_MOTION, float(np.radians(degrees)))
        )
        for degrees in range(0, 180, 30)
    },
    f"Gaussian blur, sigma {_SIGMA} px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), _SIGMA), np.uint8),
    f"out of focus, radius {_RADIUS} px": partial(_filtered, disc_kernel(_RADIUS)),
    "face of 28 px, enlarged": _upscaled,
    "negative": negative,
    "grey negative": lambda image: negative(grey(image)),
    "black and white": thresholded,
    **{f"{levels} levels per channel": partial(posterised, levels) for levels in (2, 3, 4)},
    **{f"{levels} grey levels": partial(_grey_levels, levels) for levels in (2, 3, 4)},
    "JPEG quality 10": lambda image: jpeg(image, 10),
    "JPEG quality 5": lambda image: jpeg(image, 5),
    "JPEG quality 3": lambda image: jpeg(image, 3),
    "red watermark": watermarked,
    **{f"wave lines of {width} px": partial(_wave_lines, width) for width in (1, 2)},
}


def acceptance(paths: Sequence[Path], assess: Assess) -> dict[str, dict[str, Any]]:
    """Return for each degradation the share of detected faces that each level of QualityControl accepts."""
    rows = np.random.default_rng(_SEED).permutation(len(paths))[:_COUNT]
    images = [np.asarray(cv2.imread(str(paths[row])), np.uint8) for row in rows]
    return {
        name: _row([assess(cv2.imencode(".png", degrade(image))[1].tobytes()) for image in images])
        for name, degrade in DEGRADATIONS.items()
    }


def _row(assessments: Sequence[QualityAssessment | None]) -> dict[str, Any]:
    qualities = [assessment.quality for assessment in assessments if assessment]
    row: dict[str, Any] = {"images": len(assessments), "detected": len(qualities)}
    for level in (1, 2, 3, 4):
        accepted = sum(accepts(quality, level, QualityPolicy.ACCEPT_DESCRIBED) for quality in qualities)
        row[f"level_{level}"] = round(100 * accepted / max(len(qualities), 1), 1)
    sharpness = [quality.sharpness for quality in qualities]
    row["sharpness"] = round(float(np.median(sharpness))) if sharpness else 0
    return row
