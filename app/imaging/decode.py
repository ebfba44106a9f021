"""Encoded image (JPEG, PNG or BMP) -> upright pixels, its EXIF orientation applied, transparency blended with white.

Format and size are checked in the header before any pixel is decoded (limits: the vendor's CompareFace page). Raises
``ImageDecodeFailed``, ``ImageResolutionExceed``, ``ImageResolutionTooSmall``, and no exception of Pillow or OpenCV.

Ignored: colour profiles and gamma; the orientation of a PNG behind its pixels or in a text chunk (XMP, ImageMagick);
the transparency of a BMP (often all zero) and of a grey PNG with one transparent shade, which OpenCV does not report;
damage within the compressed data of a JPEG, which decoders conceal.
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

# By default OpenCV also writes two lines to stderr for each damaged file.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Output of a decoder: H x W (grey), H x W x 3 (BGR) or H x W x 4 (BGRA)."""

Decoder: TypeAlias = Callable[[bytes, int], Pixels]
"""(encoded image, flags of ``cv2.imdecode``) -> pixels; raises ``ApiError``."""

_FORMATS = ("JPEG", "PNG", "BMP")
_MAX_SIDE = {"JPEG": 4000, "MPO": 4000, "PNG": 2000, "BMP": 2000}
"""Pixels per format, as Pillow names it; MPO is a JPEG followed by further images."""
_JPEG_FORMATS = ("JPEG", "MPO")
_MIN_SIDE = 64
_REDUCED_FLAGS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_ORIENTATION = 0x0112
"""EXIF tag, CIPA DC-008 4.6.4 A."""
_TO_UPRIGHT: Mapping[object, Callable[[Image], Image]] = {
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
"""Exceptions of Pillow for damaged files."""
_PILLOW_LOCK = threading.Lock()
"""Held while Pillow reads, because ``warnings.catch_warnings`` changes the state of the whole process."""


@dataclass(frozen=True, slots=True)
class _Header:
    format: str
    width: int
    height: int
    has_alpha: bool
    exif: bytes


def decode_in_process(data: bytes, flags: int) -> Pixels:
    """Decode in this process: for trusted files only, because a crash of the decoder ends the process."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error
    if pixels is None:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    return np.asarray(pixels)  # type: ignore[return-value]


class EncodedImage:
    """An encoded image whose format and size are accepted; its pixels are decoded on demand."""

    def __init__(self, data: bytes, decoder: Decoder = decode_in_process) -> None:
        """``data``: a JPEG, PNG or BMP file. Raise ``ApiError`` for another format or a forbidden size."""
        self._data = strip(data)
        self._decoder = decoder
        self._header = _read_header(self._data)
        _check_dimensions(self._header)

    def reduction(self, side: int) -> int:
        """Return the largest divisor, 1, 2, 4 or 8, that leaves the longer side at least ``side`` pixels.

        Only JPEGs are reduced: libjpeg decodes only the needed frequencies of each block, which saves time.
        """
        longest = max(self._header.width, self._header.height)
        divisors = [divisor for divisor in _REDUCED_FLAGS if longest >= side * divisor]
        return max(divisors, default=1) if self._header.format in _JPEG_FORMATS else 1

    def pixels(self, reduction: int = 1) -> Image:
        """Decode the upright image, its sides divided by ``reduction``, a result of :meth:`reduction`."""
        header = self._header
        flags = cv2.IMREAD_UNCHANGED if header.has_alpha else _REDUCED_FLAGS.get(reduction, cv2.IMREAD_COLOR)
        pixels = self._decoder(self._data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels.ndim == 2:  # noqa: PLR2004 - a grey PNG with a transparent shade, which OpenCV does not report
            pixels = self._decoder(self._data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels.shape[:2] != (-(-header.height // reduction), -(-header.width // reduction)):
            raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
        rotate = _TO_UPRIGHT.get(_orientation(header.exif))
        image = _blend_with_white(_to_uint8(pixels))
        return np.ascontiguousarray(rotate(image) if rotate else image)


def decode(data: bytes) -> Image:
    """Decode a JPEG, PNG or BMP file in this process."""
    return EncodedImage(data).pixels()


def _read_header(data: bytes) -> _Header:
    """Read the header with Pillow, which decodes no pixel."""
    try:
        with _silent_pillow(), Pillow.open(io.BytesIO(data), formats=_FORMATS) as opened:
            has_alpha = opened.format == "PNG" and opened.has_transparency_data
            exif = opened.info.get("exif", b"")
            return _Header(opened.format or "", opened.width, opened.height, has_alpha, exif)
    except Pillow.DecompressionBombError as error:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED) from error
    except _PILLOW_ERRORS as error:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED) from error


@contextmanager
def _silent_pillow() -> Iterator[None]:
    with _PILLOW_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_dimensions(header: _Header) -> None:
    if max(header.width, header.height) > _MAX_SIDE[header.format]:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED)
    if min(header.width, header.height) < _MIN_SIDE:
        raise ApiError(ErrorCode.IMAGE_RESOLUTION_TOO_SMALL)


def _orientation(exif: bytes) -> object:
    """Return the value of the EXIF orientation, which may be of any type; None without one or for damaged EXIF."""
    tags = Pillow.Exif()
    try:
        with _silent_pillow():
            tags.load(exif)
            return tags.get(_ORIENTATION)
    except _PILLOW_ERRORS:
        return None


def _to_uint8(pixels: Pixels) -> Image:
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def _blend_with_white(pixels: Image) -> Image:
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    if alpha.size == 0:
        return colour
    white = np.uint16(255)
    return ((colour * alpha.astype(np.uint16) + white * (white - alpha) + 127) // white).astype(np.uint8)
