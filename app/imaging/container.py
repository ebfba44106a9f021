"""File bytes -> the part of them that shows the picture, before any decoder sees them.

DecoderPool read what surrounds a picture however long it takes: 3.9 MB of tiny JPEG segments keep Pillow busy for 4 s,
3.9 MB of compressed PNG texts keep libpng busy for 2 s, a JPEG of 100,000 scans takes minutes. Here the outermost
structure is walked, nothing is unpacked. Raises ``ImageDecodeFailed`` for a file that breaks off (decoders may fill
the missing part with grey), has more parts than any real one, or is a BMP whose colours OpenCV mistakes; and, naming
the formats that are taken, for a file of any other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.errors import ApiError, ErrorCode, Text

_JPEG = b"\xff\xd8\xff"
_MAX_SEGMENTS = 1000  # an ICC profile may take 255; the largest file we accept holds 60 full ones
_MAX_SCANS = 100  # cameras write 1, progressive encoders about 10; at 4000 x 4000 one takes 1 to 10 ms
_MARKER, _COMPRESSED = 0xFF, 0x00
_IS_MARKER = np.ones(256, dtype=bool)
_IS_MARKER[[0x01, *range(0xD0, 0xD9), 0xFF]] = False
"""What after ``_MARKER`` starts a segment (ITU-T T.81, B.1.1.2), apart from ``_COMPRESSED``: no restart, no fill."""
_AT_ONCE = 2**18  # bytes that are looked through at once, which takes up to sixteen times as much memory
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # pixels in chunks of 400 bytes; encoders write 8 KB and more
_NEEDED = frozenset({b"tRNS", b"eXIf"})
"""Chunks that may be left out by their kind (PNG, 5.4) but matter to us."""
_MAY_BE_LEFT_OUT = 0x20

_BMP = b"BM"
_MISREAD = (52).to_bytes(4, "little")
"""Size of the one kind of header, never documented by its maker, whose masks of the colours OpenCV 5.0 overlooks."""


_NO_FORMAT_OF_OURS = Text(
    "Image decoding failed: the image is not in JPEG, PNG or BMP format.",
    "图片解码失败：图片不是 JPEG、PNG 或 BMP 格式。",
)


def strip(data: bytes) -> bytes:
    """Return ``data`` without what follows the picture and, of a PNG, without profiles, texts and animation."""
    if data.startswith(_JPEG):
        return _strip_jpeg(data)
    if data.startswith(_PNG):
        return _strip_png(data)
    if not data.startswith(_BMP):
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED, _NO_FORMAT_OF_OURS)
    if data[14:18] == _MISREAD:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    return data


def _strip_jpeg(data: bytes) -> bytes:
    markers = _Markers(data)
    at, scans = 2, 0
    for _ in range(_MAX_SEGMENTS):
        following = markers.following(at)
        if following is None or scans > _MAX_SCANS:
            break
        at = following + 2
        kind = data[at - 1]
        if kind == _END_OF_IMAGE:
            return data[:at]
        scans += kind == _START_OF_SCAN
        at += int.from_bytes(data[at : at + 2])
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


class _Markers:
    """Where markers are in a JPEG, asked for in order: a piece of it at a time is looked through."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._piece = -1
        self._places: NDArray[np.intp] = np.empty(0, np.intp)

    def following(self, at: int) -> int | None:
        """Return the place of the first marker at ``at`` or later."""
        for piece in range(max(self._piece, at // _AT_ONCE), -(-len(self._data) // _AT_ONCE)):
            if piece != self._piece:
                self._piece, self._places = piece, self._look_through(piece)
            number = int(np.searchsorted(self._places, at))
            if number < len(self._places):
                return int(self._places[number])
        return None

    def _look_through(self, piece: int) -> NDArray[np.intp]:
        start = piece * _AT_ONCE
        octets = np.frombuffer(self._data, np.uint8, min(_AT_ONCE + 1, len(self._data) - start), start)
        # Most that starts like a marker is compressed data: leaving that out at once finds next to nothing, fast.
        found = np.flatnonzero((octets[:-1] == _MARKER) & (octets[1:] != _COMPRESSED))
        return found[_IS_MARKER[octets[found + 1]]] + start


def _strip_png(data: bytes) -> bytes:
    at, kept = len(_PNG), [_PNG]
    for _ in range(_MAX_CHUNKS):
        kind = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data):
            break
        if kind in _NEEDED or not kind[0] & _MAY_BE_LEFT_OUT:
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
