from __future__ import annotations

import random
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image as Pillow

from app.errors import ApiError, ErrorCode
from app.imaging.container import strip
from app.imaging.decode import decode
from tests.imaging.conftest import write

LARGEST = 3_932_160


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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


def test_a_bmp_passes_as_it_is() -> None:
    assert strip(b"BM" + bytes(99)) == b"BM" + bytes(99)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"GIF89a", b"\x89PNG", b"hello"])
def test_what_begins_like_no_format_that_is_taken_is_refused(data: bytes) -> None:
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED


def test_a_whole_file_passes_as_it_is(jpeg: bytes, progressive: bytes, png: bytes) -> None:
    for data in (jpeg, progressive, png):
        assert strip(data) == data


@pytest.mark.parametrize(
    "tail",
    [
        *(b"\0", b"\xff\xd9", b"\xff\xda\0\0", b"\xff\xd8\xff\xe0\0\x10", bytes(range(256)) * 9),
        random.Random(7).randbytes(2_000_000),  # a motion photograph carries a film, in which any mark may occur
    ],
    ids=len,
)
def test_what_follows_the_picture_is_cut_off(jpeg: bytes, progressive: bytes, png: bytes, tail: bytes) -> None:
    for data in (jpeg, progressive, png):
        assert strip(data + tail) == data


def test_a_preview_inside_the_header_does_not_end_the_picture(quarters: Pillow.Image, jpeg: bytes) -> None:
    preview = write(quarters, "JPEG")
    data = jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(preview) + 2) + preview + jpeg[2:]
    assert strip(data + preview) == data
    assert np.array_equal(decode(data), decode(jpeg))


def test_filling_and_stray_bytes_between_segments_are_no_harm(jpeg: bytes) -> None:
    assert strip(jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]) == jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]
    first = 4 + int.from_bytes(jpeg[4:6])
    stray = jpeg[:first] + b"\0\1\2" + jpeg[first:]
    assert strip(stray) == stray


def test_a_jpeg_or_png_that_breaks_off_anywhere_is_refused(jpeg: bytes, progressive: bytes, png: bytes) -> None:
    for data in (jpeg, progressive, png):
        start = 8 if data is png else 3
        places = [*range(start, 700), *range(700, len(data), 997), *range(len(data) - 20, len(data))]
        assert len(places) > 700
        assert {error_of(data[:place]) for place in places} == {ErrorCode.IMAGE_DECODE_FAILED}


@pytest.mark.parametrize(
    "kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"pHYs", b"acTL", b"fcTL", b"fdAT", b"zzZz", b"bKGD", b"sPLT"]
)
def test_what_a_png_may_leave_out_is_left_out_on_both_sides_of_the_pixels(png: bytes, kind: bytes) -> None:
    more = chunk(kind, b"name\0\0" + zlib.compress(bytes(1_000_000)))
    assert strip(png[:33] + more + png[33:-12] + more + png[-12:]) == png


@pytest.mark.parametrize("kind", [b"tRNS", b"eXIf", b"PLTE", b"CgBI", b"ZZZZ"])
def test_what_a_png_needs_is_kept(png: bytes, kind: bytes) -> None:
    data = png[:33] + chunk(kind, b"abc") + png[33:]
    assert strip(data) == data


def test_a_chunk_that_claims_more_than_there_is_is_damage(png: bytes) -> None:
    assert error_of(png[:33] + b"\xff\xff\xff\xfftEXt" + png[33:]) is ErrorCode.IMAGE_DECODE_FAILED


@pytest.mark.parametrize(
    "segment", [b"\xff\xfe\0\2", b"\xff\xe0\0\2", b"\xff\xe1\0\x0aExif\0\0II", b"\xff\xda\0\2", b"\xff\xfe\0\0"]
)
def test_a_jpeg_of_countless_segments_is_refused_at_once(jpeg: bytes, segment: bytes) -> None:
    data = jpeg[:2] + segment * ((LARGEST - len(jpeg)) // len(segment)) + jpeg[2:]
    started = time.perf_counter()
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("kind", [b"tEXt", b"eXIf", b"IDAT", b"tRNS"])
def test_a_png_of_countless_chunks_is_refused_at_once(png: bytes, kind: bytes) -> None:
    data = png[:33] + chunk(kind) * ((LARGEST - len(png)) // 12) + png[33:]
    started = time.perf_counter()
    assert error_of(data) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("most", [100, 1000])
def test_pixels_in_many_small_chunks_are_a_picture(png: bytes, most: int) -> None:
    start = png.index(b"IDAT") - 4
    pixels, at = b"", start
    while png[at + 4 : at + 8] == b"IDAT":
        length = int.from_bytes(png[at : at + 4])
        pixels, at = pixels + png[at + 8 : at + 8 + length], at + 12 + length
    step = len(pixels) // most + 1
    chunks = [chunk(b"IDAT", pixels[place : place + step]) for place in range(0, len(pixels), step)]
    assert len(chunks) > most * 0.9
    assert np.array_equal(decode(png[:start] + b"".join(chunks) + png[at:]), decode(png))


def test_no_marker_at_all_is_searched_for_only_once() -> None:
    started = time.perf_counter()
    assert error_of(b"\xff\xd8\xff\xfe\0\2" + b"\xff\0" * (LARGEST // 2)) is ErrorCode.IMAGE_DECODE_FAILED
    assert error_of(b"\xff\xd8\xff\xfe\0\2" + b"\xff" * LARGEST) is ErrorCode.IMAGE_DECODE_FAILED
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xe0"])
def test_looking_for_the_parts_of_a_jpeg_takes_little_memory_whatever_is_in_it(filling: bytes, jpeg: bytes) -> None:
    data = jpeg[:-2] + filling * ((LARGEST - len(jpeg)) // len(filling)) + jpeg[-2:]
    tracemalloc.start()
    try:
        with suppress(ApiError):  # of a marker too many
            strip(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * LARGEST
    finally:
        tracemalloc.stop()


def test_a_marker_between_two_pieces_is_seen(jpeg: bytes) -> None:
    """The end is put at each place around the border, and nothing is kept of what follows."""
    for border in range(2**18 - 3, 2**18 + 3):
        data = jpeg[:-2] + bytes(border - len(jpeg) + 2) + jpeg[-2:]
        assert strip(data + b"more" * 99) == data
