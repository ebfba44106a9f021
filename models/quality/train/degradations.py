"""Kinds of degraded images: blur, compression, noise, wrong tones, overlays and distortions.

A kind maps an upright photo to a degraded one. Sizes refer to the face's box, so that a kind has the same effect at
every resolution. Random parameters come from the generator that is passed in.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.domain import Box, Image
from models.quality.train.degrade import jpeg, motion_kernel

_Colour: TypeAlias = tuple[int, int, int]
Kind: TypeAlias = Callable[[Image, Box, np.random.Generator], Image]

_WHITE, _BLACK, _RED, _BLUE = (255, 255, 255), (0, 0, 0), (0, 0, 255), (200, 120, 40)


def _pixels(values: ArrayLike) -> Image:
    return np.asarray(np.clip(np.asarray(values), 0, 255), np.uint8)


def _grey(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _colour(grey: NDArray[np.uint8] | NDArray[np.bool_]) -> Image:
    values = grey.astype(np.uint8) * 255 if grey.dtype == np.bool_ else grey
    return np.asarray(cv2.cvtColor(np.asarray(values, np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)


def _gaussian(sigma: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _motion(length: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.filter2D(image, -1, motion_kernel(length, rng.uniform(0, np.pi))), np.uint8)


def _defocus(radius: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    disc = cv2.circle(np.zeros((2 * radius + 1,) * 2, np.float32), (radius, radius), radius, 1, cv2.FILLED)
    return np.asarray(cv2.filter2D(image, -1, disc / disc.sum()), np.uint8)


def _zoom(steps: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    centre, size = ((box.left + box.right) / 2, (box.top + box.bottom) / 2), image.shape[1::-1]
    scaled = [cv2.getRotationMatrix2D(centre, 0, 1 + 0.02 * step) for step in range(steps)]
    views = [cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT) for matrix in scaled]
    return _pixels(np.mean(views, axis=0))


def _upscaled(face: float, interpolation: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    """Reduce the face to ``face`` pixels and enlarge it again."""
    scale, (height, width) = face / max(20.0, box.right - box.left), image.shape[:2]
    small = cv2.resize(image, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=interpolation), np.uint8)


def _compressed(quality: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return jpeg(image, quality)


def _noise(sigma: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(image + rng.normal(0, sigma, image.shape))


def _salt_and_pepper(share: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    noisy, values = image.copy(), rng.random(image.shape[:2])
    noisy[values < share / 2], noisy[values > 1 - share / 2] = 0, 255
    return noisy


def _scattered(distance: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    (height, width), (y, x) = image.shape[:2], np.mgrid[: image.shape[0], : image.shape[1]]
    dy, dx = rng.integers(-distance, distance + 1, (2, height, width))
    return np.asarray(image[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)])


def _noisy_blur(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _noise(25, _gaussian(4, image, box, rng), box, rng)


def _median(side: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.medianBlur(image, side), np.uint8)


def _smoothed(image: Image, box: Box, rng: np.random.Generator) -> Image:
    for _ in range(4):
        image = np.asarray(cv2.bilateralFilter(image, 9, 75, 75), np.uint8)
    return image


def _negative(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.asarray(255 - image, np.uint8)


def _solarised(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.where(image > 128, 255 - image, image).astype(np.uint8)


def _threshold(image: Image, box: Box, rng: np.random.Generator) -> Image:
    grey, face = _grey(image), box.clipped(image.shape[1], image.shape[0])
    region = grey[int(face.top) : int(face.bottom), int(face.left) : int(face.right)]
    return _colour(grey > (np.median(region) if region.size else 128))


def _fixed_threshold(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _colour(_grey(image) > 128)


def _posterised(levels: int, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(np.floor(image / 256 * levels) * (255 / (levels - 1)))


def _halftone(image: Image, box: Box, rng: np.random.Generator) -> Image:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return _colour(_grey(image) > 127 + 63 * (np.sin(1.2 * x) + np.sin(1.2 * y)))


def _dithered(image: Image, box: Box, rng: np.random.Generator) -> Image:
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
    height, width = image.shape[:2]
    return _colour(_grey(image) > np.tile(bayer, (height // 4 + 1, width // 4 + 1))[:height, :width])


def _contrast(factor: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(128 + (image.astype(float) - 128) * factor)


def _exposure(factor: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(image.astype(float) * factor)


def _vignette(image: Image, box: Box, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    return _pixels(image * np.clip(1 - 2.2 * np.hypot(x / width - 0.5, y / height - 0.5), 0, 1)[..., None])


def _false_colours(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.applyColorMap(_grey(image), cv2.COLORMAP_JET), np.uint8)


def _edges(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _colour(np.asarray(255 - cv2.Canny(image, 60, 150), np.uint8))


def _emboss(image: Image, box: Box, rng: np.random.Generator) -> Image:
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
    return _colour(_pixels(cv2.filter2D(_grey(image).astype(np.float32), -1, kernel)))


def _sharpened(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(image + 4.0 * (image.astype(np.float32) - cv2.GaussianBlur(image, (0, 0), 3)))


def _waves(width: int, step: int, colour: _Colour, image: Image, box: Box, rng: np.random.Generator) -> Image:
    image, x = image.copy(), np.arange(image.shape[1])
    for top in range(0, image.shape[0] + 10, step):
        curve = np.stack([x, top + 4 * np.sin(x / 12)], axis=1).round().astype(np.int32)
        cv2.polylines(image, [curve], False, colour, width)
    return image


def _lines(
    degrees: float, width_and_step: tuple[int, int], colour: _Colour, image: Image, box: Box, rng: np.random.Generator
) -> Image:
    width, step = width_and_step
    image, reach = image.copy(), sum(image.shape[:2])
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    for offset in range(-reach, reach, step):
        middle = offset * np.array([-along[1], along[0]])
        start, end = (middle - reach * along).astype(int).tolist(), (middle + reach * along).astype(int).tolist()
        cv2.line(image, start, end, colour, width)
    return image


def _scan_lines(image: Image, box: Box, rng: np.random.Generator) -> Image:
    image = image.copy()
    image[::3] = 0
    return image


def _watermark(image: Image, box: Box, rng: np.random.Generator) -> Image:
    text = image.copy()
    for y in range(20, image.shape[0] + 60, 50):
        cv2.putText(text, "SAMPLE COPY", (-10 + 7 * y % 40, y), cv2.FONT_HERSHEY_SIMPLEX, 1.2, _RED, 4)
    return np.asarray(cv2.addWeighted(text, 0.6, image, 0.4, 0), np.uint8)


def _eye_bar(image: Image, box: Box, rng: np.random.Generator) -> Image:
    image, height = image.copy(), box.bottom - box.top
    top, bottom = int(box.top + 0.25 * height), int(box.top + 0.47 * height)
    cv2.rectangle(image, (int(box.left) - 5, top), (int(box.right) + 5, bottom), _BLACK, cv2.FILLED)
    return image


def _sunglasses(image: Image, box: Box, rng: np.random.Generator) -> Image:
    image, width, height = image.copy(), box.right - box.left, box.bottom - box.top
    y, axes = int(box.top + 0.38 * height), (int(0.2 * width), int(0.13 * height))
    for x in (0.29, 0.71):
        cv2.ellipse(image, (int(box.left + x * width), y), axes, 0, 0, 360, (15, 15, 15), cv2.FILLED)
    return image


def _mask(image: Image, box: Box, rng: np.random.Generator) -> Image:
    shape = np.array([(0, 0.5), (0.5, 0.45), (1, 0.5), (0.9, 0.85), (0.5, 1.03), (0.1, 0.85)])
    corners = shape * (box.right - box.left, box.bottom - box.top) + (box.left, box.top)
    return np.asarray(cv2.fillPoly(image.copy(), [corners.astype(np.int32)], (230, 210, 190)), np.uint8)


def _fisheye(image: Image, box: Box, rng: np.random.Generator) -> Image:
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in image.shape[1::-1]))
    dx, dy = x - (box.left + box.right) / 2, y - (box.top + box.bottom) / 2
    factor = np.sqrt(np.clip(np.hypot(dx, dy) / max(1.0, box.area**0.5), 0, 1))
    source = (x + dx * (factor - 1)).astype(np.float32), (y + dy * (factor - 1)).astype(np.float32)
    return np.asarray(cv2.remap(image, *source, cv2.INTER_LINEAR), np.uint8)


def _rippled(image: Image, box: Box, rng: np.random.Generator) -> Image:
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in image.shape[1::-1]))
    return np.asarray(cv2.remap(image, x + 4 * np.sin(y / 6), y + 4 * np.sin(x / 6), cv2.INTER_LINEAR), np.uint8)


def _rotated(degrees: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
    matrix[:, 2] += (size - (width, height)) / 2
    return np.asarray(cv2.warpAffine(image, matrix, size.tolist(), borderValue=(128, 128, 128)), np.uint8)


def _unchanged(image: Image, box: Box, rng: np.random.Generator) -> Image:
    """Return ``image`` unchanged; the reference."""
    return image


def _greyscale(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _colour(_grey(image))


def _gamma(exponent: float, image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _pixels(255 * (image / 255) ** exponent)


def _equalised(image: Image, box: Box, rng: np.random.Generator) -> Image:
    return _colour(np.asarray(cv2.equalizeHist(_grey(image)), np.uint8))


_NEAREST, _CUBIC = cv2.INTER_NEAREST, cv2.INTER_CUBIC

HARMLESS: dict[str, Kind] = {
    "none": _unchanged,
    "greyscale": _greyscale,
    "Gaussian blur, sigma 2": partial(_gaussian, 2),
    "gamma 3": partial(_gamma, 3),
    "gamma 0.3": partial(_gamma, 0.3),
    "equalised": _equalised,
    "rolled by 20 degrees": partial(_rotated, 20),
    "rolled by 40 degrees": partial(_rotated, 40),
}
"""Changes that cost no accuracy; the degradation of these images is 0."""

LEARNED: dict[str, Kind] = {
    **{f"Gaussian blur, sigma {sigma}": partial(_gaussian, sigma) for sigma in (3, 4, 6, 8)},
    **{f"motion blur, {length} px": partial(_motion, length) for length in (15, 25, 35)},
    **{f"defocus, {radius} px": partial(_defocus, radius) for radius in (6, 10)},
    **{f"zoom blur, {steps} steps": partial(_zoom, steps) for steps in (10, 15)},
    **{f"{face} px scaled up": partial(_upscaled, face, _CUBIC) for face in (28, 20, 14)},
    **{f"{face} px pixelated": partial(_upscaled, face, _NEAREST) for face in (28, 20, 14)},
    **{f"JPEG quality {quality}": partial(_compressed, quality) for quality in (10, 5, 3)},
    **{f"noise, sigma {sigma}": partial(_noise, sigma) for sigma in (25, 50, 80)},
    **{f"salt and pepper, {share:.0%}": partial(_salt_and_pepper, share) for share in (0.1, 0.3)},
    "scattered pixels": partial(_scattered, 6),
    "noisy blur": _noisy_blur,
    **{f"median of {side} px": partial(_median, side) for side in (9, 15)},
    "negative": _negative,
    "threshold at the median": _threshold,
    "threshold at 128": _fixed_threshold,
    **{f"posterised, {levels} levels": partial(_posterised, levels) for levels in (2, 3, 4)},
    "halftone": _halftone,
    **{f"contrast {factor}": partial(_contrast, factor) for factor in (0.2, 0.1)},
    **{f"exposure {factor}": partial(_exposure, factor) for factor in (0.04, 0.1, 2, 3, 5)},
    "vignette": _vignette,
    "false colours": _false_colours,
    "edges": _edges,
    "emboss": _emboss,
    "sharpened": _sharpened,
    "wave lines, 2 px every 14": partial(_waves, 2, 14, _BLACK),
    "wave lines, 1 px every 14": partial(_waves, 1, 14, _BLACK),
    "wave lines, 1 px every 7": partial(_waves, 1, 7, _BLACK),
    "wave lines, white": partial(_waves, 2, 14, _WHITE),
    "wave lines, blue": partial(_waves, 2, 10, _BLUE),
    "straight lines": partial(_lines, 120, (3, 20), _RED),
    "scan lines": _scan_lines,
    "red watermark": _watermark,
    "black bar over the eyes": _eye_bar,
    "sunglasses": _sunglasses,
    "mask": _mask,
    "fisheye": _fisheye,
    "ripples": _rippled,
    **{f"rotated by {degrees} degrees": partial(_rotated, -degrees) for degrees in (90, 150, 180, 225, 270)},
}
"""Kinds from which the degradation is learned."""

HELD_OUT: dict[str, Kind] = {
    "solarised": _solarised,
    "ordered dither": _dithered,
    "smoothed (bilateral)": _smoothed,
    "grey lines at 45 degrees": partial(_lines, 45, (1, 9), (128, 128, 128)),
}
"""Kinds that were not used for learning."""
