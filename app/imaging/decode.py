"""Encoded image (JPEG, PNG or BMP) -> pixels, its EXIF orientation applied, transparency blended with white.

Format and size are checked in the header before any pixel is decoded (limits: the vendor's CompareFace page). Raises
``ImageDecodeFailed``, ``ImageResolutionExceed``, ``ImageResolutionTooSmall``, and no exception of Pillow or OpenCV.

Ignored:

- colour profiles and gamma
- the orientation in XMP, which browsers ignore, too, and that of a PNG in a text chunk (ImageMagick) or in an eXIf
  chunk after the pixel data
- the transparency of a BMP (often all zero) and of a grey PNG with one transparent shade, which OpenCV does not report
- damage within the compressed data of a JPEG, which decoders conceal
"""

import io
import struct
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.domain import Image
from app.errors import ApiError, ErrorCode
from app.imaging.container import strip
from app.imaging.failure import TRANSPARENT, TRUNCATED, decode_failed

# By default OpenCV also writes two lines to stderr for each damaged file.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Output of a decoder: H x W (grey), H x W x 3 (BGR) or H x W x 4 (BGRA)."""

Decoder: TypeAlias = Callable[[bytes, int], Pixels]
"""(encoded image, flags of ``cv2.imdecode``) -> pixels; raises ``ApiError``."""

_MAX_SIDE = {"JPEG": 4000, "PNG": 2000, "BMP": 2000}
"""Pixels per format, as Pillow names it."""
_MIN_SIDE = 64
_REDUCED_FLAGS = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_ORIENTATION = 0x0112
"""EXIF tag, CIPA DC-008 4.6.4 A."""
_TRANSFORMS: Mapping[object, Callable[[Image], Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}
_PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError),
    *(LookupError, ArithmeticError, AssertionError, struct.error),
)
"""Exceptions of Pillow for damaged files."""
_PILLOW_LOCK = threading.Lock()
"""Held while Pillow reads, because ``warnings.catch_warnings`` changes the state of the whole process."""


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
        self._file = strip(data)
        self._decoder = decoder
        try:
            self._read_header()
        except Pillow.DecompressionBombError as error:
            raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED) from error
        except _PILLOW_ERRORS as error:
            raise self._decode_error() from error
        if max(self._width, self._height) > _MAX_SIDE[self._format]:
            raise ApiError(ErrorCode.IMAGE_RESOLUTION_EXCEED)
        if min(self._width, self._height) < _MIN_SIDE:
            raise ApiError(ErrorCode.IMAGE_RESOLUTION_TOO_SMALL)

    def _read_header(self) -> None:
        """Read the header with Pillow, which decodes no pixel."""
        with _PILLOW_LOCK, warnings.catch_warnings(action="ignore"):
            with Pillow.open(io.BytesIO(self._file.data), formats=tuple(_MAX_SIDE)) as opened:
                self._format = opened.format or ""
                self._width, self._height = opened.size
                self._has_alpha = opened.format == "PNG" and opened.has_transparency_data
            self._transform = _TRANSFORMS.get(_orientation(opened.info.get("exif", b"")))

    def reduction(self, *, min_longer_side: int) -> int:
        """Return the largest divisor, 1, 2, 4 or 8, that leaves the longer side at least ``min_longer_side`` pixels.

        Only JPEGs are reduced: libjpeg decodes only the needed frequencies of each block, which saves time.
        """
        if self._format != "JPEG":
            return 1
        longest = max(self._width, self._height)
        return max((divisor for divisor in _REDUCED_FLAGS if longest >= min_longer_side * divisor), default=1)

    def pixels(self, reduction: int = 1) -> Image:
        """Decode the image in its EXIF orientation, its sides divided by ``reduction`` (see :meth:`reduction`)."""
        self._check_completeness()
        flags = cv2.IMREAD_UNCHANGED if self._has_alpha else _REDUCED_FLAGS.get(reduction, cv2.IMREAD_COLOR)
        pixels = self._decode(self._file.data, flags)
        if pixels.ndim == 2:  # noqa: PLR2004 - a grey PNG with a transparent shade, which OpenCV does not report
            pixels = self._decode(self._file.data, cv2.IMREAD_COLOR)
        if pixels.shape[:2] != (-(-self._height // reduction), -(-self._width // reduction)):
            raise self._decode_error()
        image = _blend_with_white(_to_uint8(pixels))
        return np.ascontiguousarray(self._transform(image) if self._transform else image)

    def _check_completeness(self) -> None:
        """Raise ``ImageDecodeFailed`` if rows are missing, which libjpeg replaces without an error."""
        if self._file.probe:
            first, second = (self._decode(data, cv2.IMREAD_COLOR) for data in (self._file.data, self._file.probe))
            if not np.array_equal(first, second):
                raise decode_failed(TRUNCATED)
            self._file = self._file._replace(probe=b"")

    def _decode(self, data: bytes, flags: int) -> Pixels:
        try:
            return self._decoder(data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        except ApiError as error:
            raise self._decode_error() from error

    def _decode_error(self) -> ApiError:
        return decode_failed(TRUNCATED) if self._file.is_cut else ApiError(ErrorCode.IMAGE_DECODE_FAILED)


def decode(data: bytes) -> Image:
    """Decode a JPEG, PNG or BMP file in this process."""
    return EncodedImage(data).pixels()


def _orientation(exif: bytes) -> object:
    """Return the value of the EXIF orientation, which may be of any type; None without one or for damaged EXIF."""
    tags = Pillow.Exif()
    with suppress(*_PILLOW_ERRORS):
        tags.load(exif)
        return tags.get(_ORIENTATION)
    return None


def _to_uint8(pixels: Pixels) -> Image:
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def _blend_with_white(pixels: Image) -> Image:
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    if alpha.size == 0:
        return colour
    if not alpha.any():
        raise decode_failed(TRANSPARENT)
    white = np.uint16(255)
    return ((colour * alpha.astype(np.uint16) + white * (white - alpha) + 127) // white).astype(np.uint8)
