"""Damaged JPEGs are compared if all rows are there, else rejected as truncated; codings and colours of JPEG."""

import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pillow

from app.domain import Image
from app.errors import ApiError
from app.imaging.decode import EncodedImage, decode
from tests.imaging.conftest import TRUNCATED_MESSAGE, decode_error, write

END_OF_IMAGE = b"\xff\xd9"
JPEGS: dict[str, Callable[[Pillow.Image], bytes]] = {
    "baseline": lambda image: write(image, "JPEG", quality=90),
    "optimised, all chroma": lambda image: write(image, "JPEG", optimize=True, subsampling=0),
    "progressive": lambda image: write(image, "JPEG", progressive=True),
    "grey": lambda image: write(image.convert("L"), "JPEG"),
    "progressive grey": lambda image: write(image.convert("L"), "JPEG", progressive=True),
    "CMYK": lambda image: write(image.convert("CMYK"), "JPEG"),
    "restart markers per row": lambda image: write(image, "JPEG", restart_marker_rows=1),
    "restart markers per block": lambda image: write(image, "JPEG", restart_marker_blocks=1),
}
TAILS = {
    "nothing": b"",
    "half of the end marker": b"\xff",
    "zeros": bytes(500),
    "fill bytes": b"\xff" * 300,
    "a cut trailer": b"\xff\xe1\xff\xffExif\0\0II*\0",
    "a complete trailer": b"\xff\xed\0\x08trailer",
    "padding of a sector": b"\0" * 3 + b"\x1a" * 9,
}
"""What follows the last row instead of the end marker."""


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker_is_decoded_like_the_complete_one(
    astronaut: Pillow.Image, kind: str, tail: str
) -> None:
    complete = JPEGS[kind](astronaut)
    cut = complete.removesuffix(END_OF_IMAGE) + TAILS[tail]
    assert np.array_equal(decode(cut), decode(complete))
    for reduction in (2, 8):
        assert np.array_equal(EncodedImage(cut).pixels(reduction), EncodedImage(complete).pixels(reduction))


@pytest.mark.parametrize("tail", ["nothing", "zeros", "fill bytes", "a cut trailer", "a complete trailer"])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_all_rows_is_truncated(astronaut: Pillow.Image, kind: str, tail: str) -> None:
    complete = JPEGS[kind](astronaut)
    whole = decode(complete)
    end = len(complete) - len(END_OF_IMAGE)
    cuts = {*range(end - 40, end), *range(end // 20, end, end // 40)}
    outcomes = [_pixels_or_message(complete[:cut] + TAILS[tail]) for cut in cuts]
    messages = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert set(messages) == {TRUNCATED_MESSAGE}
    assert len(messages) > len(cuts) * 0.9
    # A lost bit may have no effect, or affect one block of 8 x 8 pixels.
    assert [
        outcome for outcome in outcomes if not isinstance(outcome, str) and _changed_pixels(outcome, whole) > 64
    ] == []


@pytest.mark.parametrize("blocks", range(1, 9))
def test_a_last_scan_that_ends_before_its_first_restart_is_truncated(astronaut: Pillow.Image, blocks: int) -> None:
    """The previous scan ends with any restart marker."""
    data = write(astronaut.crop((0, 0, 300, 200)), "JPEG", progressive=True, restart_marker_blocks=blocks)
    restart = data.index(b"\xff\xd0", data.rindex(b"\xff\xda"))
    assert decode_error(data[:restart]) == TRUNCATED_MESSAGE


def _pixels_or_message(data: bytes) -> Image | str:
    try:
        return decode(data)
    except ApiError as error:
        return error.message(chinese=False)


def _changed_pixels(first: Image, second: Image) -> int:
    return int((first != second).any(axis=2).sum())


def test_reduced_pixels_of_a_jpeg_without_all_rows_are_rejected_alike(astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG", progressive=True)
    encoded = EncodedImage(data[: -len(END_OF_IMAGE) - 200])
    for reduction in (8, 1):
        with pytest.raises(ApiError, match="ImageDecodeFailed"):
            encoded.pixels(reduction)


@pytest.mark.parametrize("length", [8, 30, 200])
def test_a_truncated_thumbnail_in_exif_is_ignored(astronaut: Pillow.Image, length: int) -> None:
    """The Exif segment ends within its thumbnail, whose tags still give the length of the complete one."""
    thumbnail = write(astronaut.resize((64, 48)), "JPEG")
    tags = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    ifd1 = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail), 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + tags + ifd1 + thumbnail[:length]
    data = write(astronaut, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert np.array_equal(decode(data[:2] + segment + data[2:]), decode(data))


def test_a_segment_that_hides_the_tables_is_rejected(astronaut: Pillow.Image) -> None:
    """An Exif segment was cut, and its length now covers the quantisation tables: no decoder can read the rows."""
    data = write(astronaut, "JPEG")
    assert decode_error(data[:2] + b"\xff\xe1\0\xa0Exif\0\0" + data[2:]).startswith("Image decoding failed")


@pytest.mark.parametrize("position", [2, 20])
def test_xmp_before_or_after_exif_does_not_change_the_orientation(quarters: Pillow.Image, position: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = write(quarters.transpose(Pillow.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95, subsampling=0)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation='3'/>"
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    assert np.array_equal(decode(data[:position] + segment + data[position:]), decode(data))
    assert decode(data).shape == (64, 96, 3)


def test_the_orientation_in_xmp_alone_is_ignored_as_browsers_do(quarters: Pillow.Image) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for name in ("JPEG", "PNG"):
        info = {"xmp": xmp} if name == "JPEG" else {}
        data = write(quarters, name, **info)
        assert decode(data).shape == (64, 96, 3)


# --- codings and colours of JPEG ---


def _cmyk(image: Pillow.Image, transform: int = 0) -> bytes:
    """Encode inverted CMYK, as Adobe does, or with ``transform`` 2 YCCK."""
    inks = image.convert("CMYK")
    if transform:
        colour = Pillow.merge("RGB", inks.split()[:3]).convert("YCbCr")
        inks = Pillow.merge(
            "CMYK", [band.point(lambda value: 255 - value) for band in colour.split()] + [inks.getchannel("K")]
        )
    data = write(inks, "JPEG", quality=95, subsampling=0)
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([transform]) + data[at + 1 :]


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_four_colours_with_an_adobe_marker_are_decoded(astronaut: Pillow.Image, transform: int) -> None:
    pixels = decode(_cmyk(astronaut, transform))
    assert np.abs(pixels.astype(np.int16) - np.asarray(astronaut)[:, :, ::-1]).mean() < 3


def test_four_colours_without_an_adobe_marker_are_rejected_because_they_may_be_inverted(
    astronaut: Pillow.Image,
) -> None:
    data = _cmyk(astronaut)
    at = data.index(b"\xff\xee")
    assert "CMYK colours without an Adobe marker" in decode_error(data[:at] + data[at + 16 :])


def test_rgb_without_a_colour_transform_is_decoded(astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG", keep_rgb=True, quality=95)
    assert np.abs(decode(data).astype(np.int16) - np.asarray(astronaut)[:, :, ::-1]).mean() < 3


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_lossless_and_hierarchical_jpegs_are_rejected_with_the_reason(astronaut: Pillow.Image, frame: int) -> None:
    data = write(astronaut, "JPEG").replace(b"\xff\xc0", bytes((0xFF, frame)), 1)
    assert "lossless or hierarchical" in decode_error(data)


@pytest.mark.parametrize("bits", [2, 12, 16])
def test_other_depths_than_8_bits_are_rejected_with_the_reason(astronaut: Pillow.Image, bits: int) -> None:
    data = write(astronaut, "JPEG")
    at = data.index(b"\xff\xc0") + 4
    assert "more than 8 bits" in decode_error(data[:at] + bytes([bits]) + data[at + 1 :])


@pytest.mark.parametrize("marker", [0xC0, 0xC2, 0xDA])
def test_headers_of_countless_components_are_rejected_quickly(astronaut: Pillow.Image, marker: int) -> None:
    data = write(astronaut, "JPEG").removesuffix(END_OF_IMAGE)
    header = bytes((0xFF, marker)) + b"\xff\xff\x08" + bytes(range(256)) * 255 + bytes(252)
    started = time.perf_counter()
    decode_error(data[:20] + header * 55 + data[20:])
    assert time.perf_counter() - started < 1
