import random
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress
from itertools import chain

import numpy as np
import pytest
from PIL import Image as Pillow

from app.errors import ApiError, ErrorCode
from app.imaging.container import strip
from app.imaging.decode import decode
from tests.imaging.conftest import TRUNCATED_MESSAGE, decode_error, write

MAX_BYTES = 3_932_160


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def content(data: bytes) -> bytes:
    return strip(data).data


def error_of(data: bytes) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        strip(data)
    return caught.value.code


@pytest.fixture(scope="module")
def jpeg(astronaut: Pillow.Image) -> bytes:
    return write(astronaut, "JPEG", quality=90)


@pytest.fixture(scope="module")
def progressive(astronaut: Pillow.Image) -> bytes:
    return write(astronaut, "JPEG", progressive=True)


@pytest.fixture(scope="module")
def png(astronaut: Pillow.Image) -> bytes:
    return write(astronaut, "PNG")


def test_a_bmp_is_unchanged() -> None:
    assert content(b"BM" + bytes(99)) == b"BM" + bytes(99)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"GIF89a", b"\x89PNG", b"hello"])
def test_other_formats_are_rejected(data: bytes) -> None:
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED


def test_a_complete_file_is_unchanged(jpeg: bytes, progressive: bytes, png: bytes) -> None:
    for data in (jpeg, progressive, png):
        assert content(data) == data


@pytest.mark.parametrize(
    "tail",
    [
        *(b"\0", b"\xff\xd9", b"\xff\xda\0\0", b"\xff\xd8\xff\xe0\0\x10", bytes(range(256)) * 9),
        random.Random(7).randbytes(2_000_000),  # a motion photo ends with a video, in which any marker may occur
    ],
    ids=len,
)
def test_trailing_bytes_are_removed(jpeg: bytes, progressive: bytes, png: bytes, tail: bytes) -> None:
    for data in (jpeg, progressive, png):
        assert content(data + tail) == data


def test_a_preview_in_the_header_does_not_end_the_image(quarters: Pillow.Image, jpeg: bytes) -> None:
    preview = write(quarters, "JPEG")
    data = jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(preview) + 2) + preview + jpeg[2:]
    assert content(data + preview) == jpeg


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
@pytest.mark.parametrize(
    "segment", [b"", b"Adobe", b"JFIF\0", b"Exif\0", b"ICC_PROFILE\0", b"MPF\0II*", b"Photoshop 3.0\0"]
)
def test_segments_that_affect_no_pixel_are_removed_also_damaged_ones(jpeg: bytes, marker: int, segment: bytes) -> None:
    data = bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment
    assert content(jpeg[:2] + data + jpeg[2:]) == content(jpeg[:20] + data + jpeg[20:]) == jpeg


@pytest.mark.parametrize("segment", [b"\xff\xe1\0\x0aExif\0\0II", b"\xff\xee\0\x0eAdobe" + bytes(7)])
def test_segments_that_affect_pixels_are_kept(jpeg: bytes, segment: bytes) -> None:
    assert content(jpeg[:20] + segment + jpeg[20:]) == jpeg[:20] + segment + jpeg[20:]


def test_fill_and_stray_bytes_between_segments_are_accepted(jpeg: bytes) -> None:
    assert content(jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]) == jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]
    first = 4 + int.from_bytes(jpeg[4:6])
    stray = jpeg[:first] + b"\0\1\2" + jpeg[first:]
    assert content(stray) == stray


def test_a_file_truncated_anywhere_before_its_last_rows_is_rejected_as_truncated(astronaut: Pillow.Image) -> None:
    for name, start in (("JPEG", 3), ("PNG", 8), ("BMP", 2)):
        data = write(astronaut, name)
        for length in chain(range(start, 700), range(700, int(len(data) * 0.99), 997)):
            assert decode_error(data[:length]) == TRUNCATED_MESSAGE, (name, length)


@pytest.mark.parametrize(
    "kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"pHYs", b"acTL", b"fcTL", b"fdAT", b"zzZz", b"bKGD", b"sPLT"]
)
def test_ancillary_chunks_are_removed_before_and_after_the_pixels(png: bytes, kind: bytes) -> None:
    ancillary = png_chunk(kind, b"name\0\0" + zlib.compress(bytes(1_000_000)))
    assert content(png[:33] + ancillary + png[33:-12] + ancillary + png[-12:]) == png


@pytest.mark.parametrize("kind", [b"tRNS", b"eXIf", b"PLTE", b"CgBI", b"ZZZZ"])
def test_required_chunks_are_kept(png: bytes, kind: bytes) -> None:
    data = png[:33] + png_chunk(kind, b"abc") + png[33:]
    assert content(data) == data


@pytest.mark.parametrize("kind", [b"tRNS", b"eXIf"])
def test_a_required_ancillary_chunk_with_a_wrong_checksum_is_removed(png: bytes, kind: bytes) -> None:
    assert content(png[:33] + png_chunk(kind, b"abc")[:-1] + b"?" + png[33:]) == png


@pytest.mark.parametrize(
    "segment", [b"\xff\xfe\0\2", b"\xff\xe0\0\2", b"\xff\xe1\0\x0aExif\0\0II", b"\xff\xda\0\2", b"\xff\xfe\0\0"]
)
def test_a_jpeg_of_countless_segments_is_rejected_quickly(jpeg: bytes, segment: bytes) -> None:
    data = jpeg[:2] + segment * ((MAX_BYTES - len(jpeg)) // len(segment)) + jpeg[2:]
    started = time.perf_counter()
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("kind", [b"tEXt", b"eXIf", b"IDAT", b"tRNS"])
def test_a_png_of_countless_chunks_is_rejected_quickly(png: bytes, kind: bytes) -> None:
    data = png[:33] + png_chunk(kind) * ((MAX_BYTES - len(png)) // 12) + png[33:]
    started = time.perf_counter()
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("count", [100, 1000])
def test_pixels_in_many_small_chunks_are_decoded(png: bytes, count: int) -> None:
    start = png.index(b"IDAT") - 4
    pixels, end = b"", start
    while png[end + 4 : end + 8] == b"IDAT":
        length = int.from_bytes(png[end : end + 4])
        pixels, end = pixels + png[end + 8 : end + 8 + length], end + 12 + length
    step = len(pixels) // count + 1
    chunks = [png_chunk(b"IDAT", pixels[offset : offset + step]) for offset in range(0, len(pixels), step)]
    assert len(chunks) > count * 0.9
    assert np.array_equal(decode(png[:start] + b"".join(chunks) + png[end:]), decode(png))


def test_a_jpeg_without_an_end_marker_is_rejected_in_linear_time() -> None:
    started = time.perf_counter()
    assert error_of(b"\xff\xd8\xff\xfe\0\2" + b"\xff\0" * (MAX_BYTES // 2)) is ErrorCode.IMAGE_DECODE_FAILED
    assert error_of(b"\xff\xd8\xff\xfe\0\2" + b"\xff" * MAX_BYTES) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xe0"])
def test_the_marker_search_needs_little_memory_for_any_content(filler: bytes, jpeg: bytes) -> None:
    data = jpeg[:-2] + filler * ((MAX_BYTES - len(jpeg)) // len(filler)) + jpeg[-2:]
    tracemalloc.start()
    try:
        with suppress(ApiError):  # too many markers
            strip(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_BYTES
    finally:
        tracemalloc.stop()


def test_the_end_marker_is_recognised_at_any_position(jpeg: bytes) -> None:
    """The bytes after the end marker are removed."""
    for border in range(2**18 - 3, 2**18 + 3):
        data = jpeg[:-2] + bytes(border - len(jpeg) + 2) + jpeg[-2:]
        assert content(data + b"trailing" * 99) == data
