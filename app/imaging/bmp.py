"""BMP file -> a BMP that OpenCV decodes to the right colours.

OpenCV 5.0 rejects or misreads most bit fields. They are converted to the two layouts that it reads: 5, 6 and 5 bits in
16, or 8 bits per colour in 32. Source: BITMAPINFOHEADER to BITMAPV5HEADER of the Windows API.
"""

import struct

import numpy as np

from app.imaging.failure import INVALID_MASKS, decode_failed
from app.imaging.stripped import StrippedFile

_HEADER = struct.Struct("<2sI4xIIiiHHI20x")
"""Signature, file size, position of the pixels, header size, width, height, planes, bits per pixel, compression."""
_MASKS = struct.Struct("<III")
"""Bits of red, green and blue. They follow ``_HEADER``, as a part of longer headers or after a header of 40 bytes."""
_HEADER_SIZES = frozenset({40, 52, 56, 108, 124})
_UNCOMPRESSED, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 3, 6
_TARGET_MASKS = {16: (0xF800, 0x07E0, 0x001F), 32: (0xFF0000, 0x00FF00, 0x0000FF)}
"""Bits per pixel -> masks after the conversion, which OpenCV reads."""


def normalise_bmp(data: bytes) -> StrippedFile:
    """Return the file with readable bit fields and with the padding of its last row; other compressions unchanged."""
    if len(data) < _HEADER.size + _MASKS.size:
        return StrippedFile(data, is_cut=True)
    _, file_size, start, header_size, width, height, _, bits, compression = _HEADER.unpack_from(data)
    is_cut = len(data) < file_size
    if header_size not in _HEADER_SIZES or compression not in {_UNCOMPRESSED, _BIT_FIELDS, _ALPHA_BIT_FIELDS}:
        return StrippedFile(data, is_cut)
    row, padded_row = -(-width * bits // 8), -(-width * bits // 32) * 4
    end = start + padded_row * abs(height)
    missing = max(0, end - len(data))
    if missing <= padded_row - row:
        data += bytes(missing)
    if compression != _UNCOMPRESSED and bits in _TARGET_MASKS:
        data = _convert(data[start:end], width, height, bits, _MASKS.unpack_from(data, _HEADER.size))
    return StrippedFile(data, is_cut or missing > 0)


def _convert(rows: bytes, width: int, height: int, bits: int, masks: tuple[int, ...]) -> bytes:
    """Return a BMP of ``rows`` with the target masks instead of ``masks``; the padding of rows becomes arbitrary."""
    pixels = np.frombuffer(rows, f"<u{bits // 8}", len(rows) * 8 // bits)
    converted = np.zeros_like(pixels)
    for mask, target_mask in zip(masks, _TARGET_MASKS[bits], strict=True):
        shift, target_shift = _lowest_bit(mask), _lowest_bit(target_mask)
        maximum, target_maximum = mask >> shift, target_mask >> target_shift
        if not 0 < mask < 2**bits or maximum & (maximum + 1):
            raise decode_failed(INVALID_MASKS)
        values = (pixels.astype(np.uint64) & np.uint64(mask)) >> np.uint64(shift)
        scaled = (values * np.uint64(target_maximum) + np.uint64(maximum // 2)) // np.uint64(maximum)
        converted |= (scaled << np.uint64(target_shift)).astype(pixels.dtype)
    target_masks = _MASKS.pack(*_TARGET_MASKS[bits])
    start = _HEADER.size + _MASKS.size
    size = start + converted.nbytes
    return (
        _HEADER.pack(b"BM", size, start, 40, width, height, 1, bits, _BIT_FIELDS) + target_masks + converted.tobytes()
    )


def _lowest_bit(mask: int) -> int:
    return max((mask & -mask).bit_length() - 1, 0)
