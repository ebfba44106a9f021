"""Encoded image -> the part of it that decoders need, before a decoder reads it.

Decoders read the parts around an image without a time limit. 3.9 MB of tiny JPEG segments occupy Pillow for 4 s, and
3.9 MB of compressed PNG texts occupy libpng for 2 s. A JPEG of 100,000 scans takes minutes. This module walks the
outermost structure and decompresses nothing. It raises ``ImageDecodeFailed`` for these files:

- a truncated file, because decoders may fill the missing part with grey
- a file with an implausible number of parts
- a BMP whose colours OpenCV misreads
- any other format
"""

import re

from app.errors import ApiError, ErrorCode, Text

_JPEG = b"\xff\xd8\xff"
_MAX_SEGMENTS = 1000  # an ICC profile may take 255; the largest accepted file holds 60 full segments
_WINDOW = 2**16  # bytes
_MAX_SCANS = 100  # cameras write 1, progressive encoders about 10; at 4000 x 4000 a scan takes 1 to 10 ms
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
"""Start of a segment (ITU-T T.81, B.1.1.2): no stuffed zero, TEM, restart, SOI or fill byte. The search is linear."""
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # a full file in chunks of 400 bytes; encoders write 8 KB and more
_KEPT_ANCILLARY = frozenset({b"tRNS", b"eXIf"})
_ANCILLARY = 0x20
"""Bit of the first letter of chunks that a decoder may ignore (PNG, 5.4)."""

_BMP = b"BM"
_MISREAD_HEADER_SIZE = (52).to_bytes(4, "little")
"""Size of the undocumented BITMAPV2INFOHEADER, whose colour masks OpenCV 5.0 ignores."""

_UNSUPPORTED_FORMAT = Text(
    "Image decoding failed: the image is not in JPEG, PNG or BMP format.",
    "图片解码失败：图片不是 JPEG、PNG 或 BMP 格式。",
)


def strip(data: bytes) -> bytes:
    """Return ``data`` without trailing bytes and, for a PNG, without profiles, texts and animation."""
    if data.startswith(_JPEG):
        return _strip_jpeg(data)
    if data.startswith(_PNG):
        return _strip_png(data)
    if not data.startswith(_BMP):
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED, _UNSUPPORTED_FORMAT)
    if data[14:18] == _MISREAD_HEADER_SIZE:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    return data


def _strip_jpeg(data: bytes) -> bytes:
    position, scans = 2, 0
    for _ in range(_MAX_SEGMENTS):
        position = _end_of_marker(data, position)
        if not position or scans > _MAX_SCANS:
            break
        marker_type = data[position - 1]
        if marker_type == _END_OF_IMAGE:
            return data[:position]
        scans += marker_type == _START_OF_SCAN
        position += int.from_bytes(data[position : position + 2])
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


def _end_of_marker(data: bytes, position: int) -> int:
    """Return the end of the next marker, or 0. A search holds the interpreter lock, so it covers one window only."""
    for start in range(position, len(data), _WINDOW):
        if marker := _MARKER.search(data, start, start + _WINDOW + 1):
            return marker.end()
    return 0


def _strip_png(data: bytes) -> bytes:
    start, kept = len(_PNG), [_PNG]
    for _ in range(_MAX_CHUNKS):
        chunk_type = data[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4])
        if end > len(data):
            break
        if chunk_type in _KEPT_ANCILLARY or not chunk_type[0] & _ANCILLARY:
            kept.append(data[start:end])
        if chunk_type == b"IEND":
            return b"".join(kept)
        start = end
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
