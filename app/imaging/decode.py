"""File bytes -> upright pixels.

In: what a caller sent. Out: an :data:`~app.domain.Image`, its EXIF orientation applied. Format and size are judged
from the header before a pixel is decoded (limits: the vendor's CompareFace page). Raises ``ImageDecodeFailed``,
``ImageResolutionExceed``, ``ImageResolutionTooSmall``; nothing of Pillow or OpenCV escapes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.domain import Image
from app.errors import ApiError, ErrorCode

_LONGEST_SIDE = {"JPEG": 4000, "MPO": 4000, "PNG": 2000, "BMP": 2000}
"""Pixels, per format as Pillow names it; MPO is a JPEG that holds further pictures."""
_SHORTEST_SIDE = 64
_WITH_ALPHA = 4
_ORIENTATION = 0x0112
"""EXIF tag, CIPA DC-008 4.6.4 A."""
_UPRIGHT: Mapping[int, Callable[[Image], Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error, Warning)
"""What damaged files make Pillow raise; ``Warning`` for programs that turn warnings into errors."""


def decode(data: bytes) -> Image:
    """Return the picture in ``data`` (JPEG, PNG or BMP)."""
    header = _read_header(data)
    _check_complete(data, header.format)
    image = _decode_pixels(data, header.format)
    if (image.shape[1], image.shape[0]) != header.size:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    turn = _UPRIGHT.get(header.orientation)
    return np.ascontiguousarray(turn(image) if turn else image)


class _Header(NamedTuple):
    format: str
    size: tuple[int, int]
    orientation: int


def _read_header(data: bytes) -> _Header:
    """Let Pillow read the header, which decodes no pixel; judge format and size."""
    try:
        with Pillow.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP")) as picture:
            name, size = picture.format or "", picture.size
            orientation = _read_orientation(picture)
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED) from error
    except _PILLOW_ERRORS as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error
    if name not in _LONGEST_SIDE:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    if max(size) > _LONGEST_SIDE[name]:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED)
    if min(size) < _SHORTEST_SIDE:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_TOO_SMALL)
    return _Header(name, size, orientation)


def _read_orientation(picture: Pillow.Image) -> int:
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except _PILLOW_ERRORS:
        return 1  # damaged EXIF says nothing about the picture
    return orientation if isinstance(orientation, int) else 1


def _check_complete(data: bytes, name: str) -> None:
    """Refuse a file that breaks off: decoders fill the missing part with grey and call it a success.

    The marks cannot occur inside compressed JPEG data, where every 0xFF is followed by 0x00 or a restart number.
    """
    if name == "PNG":
        complete = b"IEND" in data
    elif name == "BMP":
        complete = True  # OpenCV refuses it
    else:
        complete = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")  # end of image after the last start of scan
    if not complete:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


def _decode_pixels(data: bytes, name: str) -> Image:
    flags = cv2.IMREAD_UNCHANGED if name == "PNG" else cv2.IMREAD_COLOR
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error
    if pixels is None:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    return _as_bgr(np.asarray(pixels))


def _as_bgr(pixels: NDArray[np.generic]) -> Image:
    """Bring 16 bits to 8, grey to three channels, and lay transparent pixels over white."""
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.uint16) >> 8).astype(np.uint8)
    image = pixels.astype(np.uint8, copy=False)
    if image.ndim == 2:  # noqa: PLR2004 - rows and columns, no channels
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    if image.shape[2] == _WITH_ALPHA:
        alpha = image[:, :, 3:].astype(np.uint16)
        return ((image[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return image
