"""Test images, and functions that encode and load images."""

import io
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image as Pillow

from app.domain import ImageSource
from app.errors import ApiError, ErrorCode
from app.imaging.decode import decode
from app.imaging.source import decode_base64

TRUNCATED_MESSAGE = "Image decoding failed: the file is truncated."


def write(image: Pillow.Image, format_name: str, **options: Any) -> bytes:
    """Encode ``image`` in a format of Pillow."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def astronaut() -> Pillow.Image:
    image = Pillow.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    return image.crop((100, 0, 400, 220))


@pytest.fixture(scope="session")
def quarters() -> Pillow.Image:
    """96 x 64: red and green above blue and yellow; every rotation and reflection of it differs from it."""
    pixels = np.zeros((64, 96, 3), dtype=np.uint8)
    pixels[:32, :48], pixels[:32, 48:] = (255, 0, 0), (0, 255, 0)
    pixels[32:, :48], pixels[32:, 48:] = (0, 0, 255), (255, 255, 0)
    return Pillow.fromarray(pixels)


def read_image(data: ImageSource) -> bytes:
    """Return the encoded image of a loaded image reference, like the pipeline."""
    return decode_base64(data) if isinstance(data, str) else data


def decode_error(data: bytes) -> str:
    """Return the message of ``ImageDecodeFailed`` for ``data``."""
    with pytest.raises(ApiError) as caught:
        decode(data)
    assert caught.value.code is ErrorCode.IMAGE_DECODE_FAILED
    return caught.value.message(chinese=False)
