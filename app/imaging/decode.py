"""File bytes -> upright pixels.

In: what a caller sent. Out: an :data:`~app.domain.Image`, its EXIF orientation applied, transparency laid over white.
Format and size are judged from the header before a pixel is decoded (limits: the vendor's CompareFace page). Raises
``ImageDecodeFailed``, ``ImageResolutionExceed``, ``ImageResolutionTooSmall``; nothing of Pillow or OpenCV escapes.

What is not looked at: colour profiles and gamma; the orientation of a PNG that stands behind the pixels or in a text
(XMP, ImageMagick); the transparency of a BMP (often all zero) and of a grey PNG with one transparent shade, which
OpenCV does not tell; damage within the compressed data of a JPEG, which decoders paint over.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.domain import Image
from app.errors import ApiError, ErrorCode
from app.imaging.container import strip

# Once for the process: OpenCV writes its complaints to stderr, two lines for each bad file that a stranger sends, and
# raises or returns what we need to know. What libjpeg and libpng write themselves cannot be switched off.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""What a decoder leaves."""

Decode: TypeAlias = Callable[[bytes, int], Pixels]
"""(file, flags of ``cv2.imdecode``) -> rows x columns, of BGR or BGRA or grey; raises ``ApiError``."""

_FORMATS = ("JPEG", "PNG", "BMP")
_LONGEST_SIDE = {"JPEG": 4000, "MPO": 4000, "PNG": 2000, "BMP": 2000}
"""Pixels, per format as Pillow names it; MPO is a JPEG that brings further pictures."""
_JPEGS = ("JPEG", "MPO")
_SHORTEST_SIDE = 64
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_ORIENTATION = 0x0112
"""EXIF tag, CIPA DC-008 4.6.4 A."""
_UPRIGHT: Mapping[object, Callable[[Image], Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    struct.error,
)
"""What damaged files make Pillow raise."""
_PILLOW = threading.Lock()
"""Held while Pillow reads, because ``warnings.catch_warnings`` works on the whole process."""


@dataclass(frozen=True, slots=True)
class _Header:
    format: str
    width: int
    height: int
    has_alpha: bool
    exif: bytes


def decode_in_process(data: bytes, flags: int) -> Pixels:
    """Decode in this process: for files of the operator, whose failure harms nobody else."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error
    if pixels is None:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    return np.asarray(pixels)  # type: ignore[return-value]


class EncodedImage:
    """A file whose header is that of a picture that may be sent; its pixels are decoded when asked for."""

    def __init__(self, data: bytes, decode: Decode | None = None) -> None:
        """``data``: JPEG, PNG or BMP; without ``decode`` it is decoded in this process."""
        self._data = strip(data)
        self._decode = decode or decode_in_process
        self._header = _read_header(self._data)
        _check_size(self._header)

    def reduction(self, side: int) -> int:
        """By how much, 1, 2, 4 or 8, its sides may be divided to save work, if the longer is to keep ``side`` pixels.

        Only a JPEG is made of what a smaller picture needs (libjpeg leaves out the finer part of each block).
        """
        longest = max(self._header.width, self._header.height)
        fitting = [factor for factor in _REDUCED if longest >= side * factor]
        return max(fitting, default=1) if self._header.format in _JPEGS else 1

    def pixels(self, reduction: int = 1) -> Image:
        """Return it upright, its sides divided by ``reduction``, one of :meth:`reduction`."""
        header = self._header
        flags = cv2.IMREAD_UNCHANGED if header.has_alpha else _REDUCED.get(reduction, cv2.IMREAD_COLOR)
        pixels = self._decode(self._data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels.ndim == 2:  # noqa: PLR2004 - a grey picture, whose transparency OpenCV does not tell
            pixels = self._decode(self._data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels.shape[:2] != (-(-header.height // reduction), -(-header.width // reduction)):
            raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
        turn = _UPRIGHT.get(_orientation(header.exif))
        image = _over_white(_eight_bits(pixels))
        return np.ascontiguousarray(turn(image) if turn else image)


def decode(data: bytes) -> Image:
    """Return the picture in ``data`` (JPEG, PNG or BMP)."""
    return EncodedImage(data).pixels()


def _read_header(data: bytes) -> _Header:
    """Let Pillow read the header, which decodes no pixel."""
    try:
        with _quiet_pillow(), Pillow.open(io.BytesIO(data), formats=_FORMATS) as picture:
            has_alpha = picture.format == "PNG" and picture.has_transparency_data
            exif = picture.info.get("exif", b"")
            return _Header(picture.format or "", picture.width, picture.height, has_alpha, exif)
    except Pillow.DecompressionBombError as error:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED) from error
    except _PILLOW_ERRORS as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_size(header: _Header) -> None:
    if max(header.width, header.height) > _LONGEST_SIDE[header.format]:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED)
    if min(header.width, header.height) < _SHORTEST_SIDE:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_TOO_SMALL)


def _orientation(exif: bytes) -> object:
    """Return the EXIF orientation, whatever it claims to be; damaged EXIF says nothing about the picture."""
    tags = Pillow.Exif()
    try:
        with _quiet_pillow():
            tags.load(exif)
            return tags.get(_ORIENTATION)
    except _PILLOW_ERRORS:
        return None


def _eight_bits(pixels: Pixels) -> Image:
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def _over_white(pixels: Image) -> Image:
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    if alpha.size == 0:
        return colour
    white = np.uint16(255)
    return ((colour * alpha.astype(np.uint16) + white * (white - alpha) + 127) // white).astype(np.uint8)
