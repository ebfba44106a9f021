"""Real faces from installed packages, and ways to alter them.

``astronaut``: Eileen Collins, NASA, public domain (scikit-image). ``cast``: six people (insightface's ``t1.jpg``).
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from app.domain import Image


def astronaut() -> Image:
    """Return 512 x 512 pixels, BGR."""
    return np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])  # type: ignore[no-untyped-call]


def cast() -> Image:
    """Return 886 x 1280 pixels, BGR; read by path, because importing insightface takes seconds."""
    spec = importlib.util.find_spec("insightface")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("insightface is not installed")
    image = cv2.imread(str(Path(spec.origin).parent / "data/images/t1.jpg"))
    return np.asarray(image, dtype=np.uint8)


def another_shot(image: Image) -> Image:
    """Return the same scene as another camera might take it: mirrored, tilted, darker, smaller."""
    height, width = image.shape[:2]
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), 8, 1.0)
    tilted = cv2.warpAffine(image[:, ::-1], tilt, (width, height), borderMode=cv2.BORDER_REPLICATE)
    smaller = cv2.resize(tilted, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.convertScaleAbs(smaller, alpha=0.75, beta=4), dtype=np.uint8)


def blurred(image: Image, sigma: float) -> Image:
    """Return ``image`` with a Gaussian blur of ``sigma`` pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def shrunk(image: Image, side: int) -> Image:
    """Return ``image`` resized to ``side`` x ``side`` pixels."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jpeg(image: Image, quality: int = 90) -> bytes:
    """Return ``image`` as a JPEG file."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
