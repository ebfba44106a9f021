"""JPEG file -> the part of it that decoders need (ITU-T T.81, annex B), with an end marker if its own is missing.

Removed are trailing bytes, comments and application segments, except those that affect pixels: JFIF, Adobe and Exif.
Raises ``ImageDecodeFailed`` if a scan is missing, for an implausible number of parts, and for codings whose colours
OpenCV does not decode.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.errors import ApiError, ErrorCode
from app.imaging.failure import AMBIGUOUS_CMYK, TRUNCATED, UNSUPPORTED_JPEG, decode_failed
from app.imaging.stripped import StrippedFile

_MAX_SEGMENTS = 1000  # an ICC profile may take 255; the largest accepted file holds 60 full segments
_MAX_SCANS = 100  # cameras write 1, progressive encoders about 10; at 4000 x 4000 a scan takes 1 to 10 ms
_WINDOW = 2**16  # bytes
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
"""Start of a segment (B.1.1.2): no stuffed zero, TEM, restart, SOI or fill byte. The search is linear."""
_SCAN, _END, _ADOBE = 0xDA, 0xD9, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC_FRAMES = frozenset({0xC9, 0xCA})
_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2}) | _ARITHMETIC_FRAMES
"""Baseline, sequential and progressive."""
_REMOVABLE = frozenset({*range(0xE0, 0xF0), 0xFE})
_KEPT = {0xE0: (b"JFIF\0", 16), 0xE1: (b"Exif\0\0", 8), _ADOBE: (b"Adobe", 14)}
"""Type, start and minimum length of the application segments that are kept. libjpeg ignores shorter ones."""
_8_BITS, _CMYK, _COEFFICIENTS = b"\x08", b"\x04", 64
_COMPONENT_IDS = slice(8, 8 + 3 * 4, 3)
"""In a frame header; more than four components are never decoded, and would take seconds to check."""
_SCAN_HEADER_SIZES = range(8, 8 + 2 * 4, 2)
"""One to four components."""
_LOW_BITS = 0x0F
"""Of the last byte of a scan header: the number of low-order bits that the scan omits."""
_END_MARKER = b"\xff\xd9"
_ZERO_FILL = bytes(4)
"""Image data hardly ends with as many zeros, but a file that was reserved and not written to its end does."""
_NOT_ZERO = bytes(range(0xFE, 0x7E, -1))
"""Image data unlike the zeros with which libjpeg replaces missing data."""
_RESTARTS = [bytes((0xFF, 0xD0 + number)) for number in range(8)]


class _Segment(NamedTuple):
    marker: int
    start: int
    """Position of the length, after the marker."""
    content: bytes
    """The length and what follows it, without the image data of a scan."""

    @property
    def end(self) -> int:
        return self.start + len(self.content)

    @property
    def is_removable(self) -> bool:
        start, length = _KEPT.get(self.marker, (b"", _WINDOW))
        is_kept = len(self.content) >= length and self.content.startswith(start, 2)
        return self.marker in _REMOVABLE and not is_kept


def strip_jpeg(data: bytes) -> StrippedFile:
    """Return the stripped file; ``probe`` is set if the end marker is missing."""
    segments = list(_segments(data))
    scans = [segment for segment in segments if segment.marker == _SCAN]
    if len(scans) > _MAX_SCANS:
        raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
    _check_coding(segments)
    if segments and segments[-1].marker == _END:
        return StrippedFile(_without_removable(data, segments))
    if _lacks_coefficients(segments):
        raise decode_failed(TRUNCATED)
    last_scan = scans[-1].end
    rows = _rows(data, last_scan)
    # If rows end before a restart, the decoder skips to the next restart marker, so the probe needs both.
    probe = rows + _NOT_ZERO + _next_restart(rows, last_scan) + _NOT_ZERO
    complete, probe = (strip_jpeg(content + _END_MARKER).data for content in (rows, probe))
    return StrippedFile(complete, is_cut=True, probe=probe)


def _rows(data: bytes, last_scan: int) -> bytes:
    """Return the file up to the end of the image data of its last scan, which starts at ``last_scan``."""
    next_marker = _end_of_marker(data, last_scan) - len(_END_MARKER)
    rows = data[:next_marker] if next_marker > 0 else data
    if rows.endswith(_ZERO_FILL):
        rows = rows.rstrip(b"\0")
    if rows.endswith(b"\xff"):
        rows += b"\0"  # a stuffed zero, or harmless after the first half of an end marker
    return rows


def _next_restart(rows: bytes, last_scan: int) -> bytes:
    """Return the restart marker after the last one of the last scan; every scan begins with the first (B.2.1)."""
    last = max(range(-1, len(_RESTARTS) - 1), key=lambda number: rows.rfind(_RESTARTS[number], last_scan))
    return _RESTARTS[last + 1]


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the complete segments up to the end marker, or to the first incomplete segment."""
    end = len(_END_MARKER)
    for _ in range(_MAX_SEGMENTS):
        start = _end_of_marker(data, end)
        if not start:
            return
        marker = data[start - 1]
        end = start if marker == _END else start + max(2, int.from_bytes(data[start : start + 2]))
        if end > len(data):
            return
        yield _Segment(marker, start, data[start:end])
        if marker == _END:
            return
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


def _end_of_marker(data: bytes, position: int) -> int:
    """Return the end of the next marker, or 0. A search holds the interpreter lock, so it covers one window only."""
    for start in range(position, len(data), _WINDOW):
        if marker := _MARKER.search(data, start, start + _WINDOW + 1):
            return marker.end()
    return 0


def _check_coding(segments: Sequence[_Segment]) -> None:
    """Raise ``ImageDecodeFailed`` for a coding that OpenCV does not decode, or whose colours are unknown."""
    has_adobe = any(segment.marker == _ADOBE and not segment.is_removable for segment in segments)
    for segment in segments:
        if segment.marker in _FRAMES:
            bits, colours = segment.content[2:3], segment.content[7:8]
            if segment.marker not in _DECODED_FRAMES or bits != _8_BITS:
                raise decode_failed(UNSUPPORTED_JPEG)
            if colours == _CMYK and not has_adobe:
                raise decode_failed(AMBIGUOUS_CMYK)


def _lacks_coefficients(segments: Sequence[_Segment]) -> bool:
    """Return whether a component lacks a coefficient at full precision, as in a progressive JPEG without its last scan.

    Always true for arithmetic coding, where the end of the data cannot be recognised. Scan header: B.2.3.
    """
    missing: set[tuple[int, int]] = set()
    found: set[tuple[int, int]] = set()
    for marker, _, content in segments:
        if marker in _FRAMES:
            missing |= {(component, index) for component in content[_COMPONENT_IDS] for index in range(_COEFFICIENTS)}
        elif marker == _SCAN and len(content) in _SCAN_HEADER_SIZES:
            components, (first, last, precision) = content[3:-3:2], content[-3:]
            if precision & _LOW_BITS == 0:
                found |= {(component, index) for component in components for index in range(first, last + 1)}
    is_arithmetic = any(segment.marker in _ARITHMETIC_FRAMES for segment in segments)
    return is_arithmetic or not found or not missing <= found


def _without_removable(data: bytes, segments: Sequence[_Segment]) -> bytes:
    """Return ``data`` up to the end of the last segment, without comments and the like."""
    view, kept, start = memoryview(data), list[memoryview](), 0
    for segment in segments:
        if segment.is_removable:
            kept.append(view[start : segment.start - len(_END_MARKER)])
            start = segment.end
    return b"".join([*kept, view[start : segments[-1].end]])
