"""PNG file -> the chunks that decoders need, with an end chunk if it is missing (PNG specification, 5.2 to 5.6)."""

from zlib import crc32

from app.errors import ApiError, ErrorCode
from app.imaging.stripped import StrippedFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # a full file in chunks of 400 bytes; encoders write 8 KB and more
_KEPT_ANCILLARY = frozenset({b"tRNS", b"eXIf"})
_ANCILLARY = 0x20
"""Bit of the first letter of chunks that a decoder may ignore."""
_END_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"


def strip_png(data: bytes) -> StrippedFile:
    """Return the file without trailing bytes, profiles, texts, animation and damaged ancillary chunks."""
    start, kept = len(SIGNATURE), [SIGNATURE]
    for _ in range(_MAX_CHUNKS):
        chunk_type = data[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4])
        if end > len(data) or not chunk_type.isalpha():
            return StrippedFile(b"".join([*kept, _completed(data[start:]), _END_CHUNK]), is_cut=True)
        if not chunk_type[0] & _ANCILLARY or (chunk_type in _KEPT_ANCILLARY and _is_intact(data[start:end])):
            kept.append(data[start:end])
        if chunk_type == b"IEND":
            return StrippedFile(b"".join(kept))
        start = end
    raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)


def _is_intact(chunk: bytes) -> bool:
    return crc32(chunk[4:-4]).to_bytes(4) == chunk[-4:]


def _completed(chunk: bytes) -> bytes:
    """Return a pixel chunk that was cut, with the length and checksum of its remaining part; else nothing."""
    if chunk[4:8] != b"IDAT":
        return b""
    pixels = chunk[8 : 8 + int.from_bytes(chunk[:4])]
    return len(pixels).to_bytes(4) + b"IDAT" + pixels + crc32(b"IDAT" + pixels).to_bytes(4)
