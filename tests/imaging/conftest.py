"""Pictures and how they are written."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image as Pillow

from app.domain import ImageData
from app.imaging.source import decode_base64


def write(picture: Pillow.Image, name: str, **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def astronaut() -> Pillow.Image:
    picture = Pillow.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    return picture.crop((100, 0, 400, 220))


@pytest.fixture(scope="session")
def quarters() -> Pillow.Image:
    """96 x 64: red, green over blue, yellow; no turn and no mirror image of it looks the same."""
    pixels = np.zeros((64, 96, 3), dtype=np.uint8)
    pixels[:32, :48], pixels[:32, 48:] = (255, 0, 0), (0, 255, 0)
    pixels[32:, :48], pixels[32:, 48:] = (0, 0, 255), (255, 255, 0)
    return Pillow.fromarray(pixels)


def read_image(data: ImageData) -> bytes:
    """Return the bytes of a loaded image, as the pipeline does."""
    return decode_base64(data) if isinstance(data, str) else data
