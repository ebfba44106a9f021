"""BMP with bit fields of every header size, layout and order, in the colours that were drawn; damaged BMPs."""

import math
import struct

import numpy as np
import pytest
from PIL import Image as Pillow

from app.domain import Image
from app.imaging.decode import decode
from tests.imaging.conftest import TRUNCATED_MESSAGE, decode_error, write

HEADER_SIZES = (40, 52, 56, 108, 124)
BIT_FIELDS, ALPHA_BIT_FIELDS = 3, 6
LAYOUTS: dict[str, tuple[int, tuple[int, ...]]] = {
    "RGB565": (16, (0xF800, 0x07E0, 0x001F)),
    "BGR565": (16, (0x001F, 0x07E0, 0xF800)),
    "RGB555": (16, (0x7C00, 0x03E0, 0x001F)),
    "RGBX5551": (16, (0xF800, 0x07C0, 0x003E)),
    "ARGB4444": (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
    "XRGB8888": (32, (0xFF0000, 0x00FF00, 0x0000FF)),
    "XBGR8888": (32, (0x0000FF, 0x00FF00, 0xFF0000)),
    "RGBX8888": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "BGRX8888": (32, (0xFF00, 0xFF0000, 0xFF000000)),
    "ARGB8888": (32, (0xFF0000, 0x00FF00, 0x0000FF, 0xFF000000)),
    "ABGR8888": (32, (0x0000FF, 0x00FF00, 0xFF0000, 0xFF000000)),
    "GRBX8888": (32, (0xFF0000, 0xFF000000, 0xFF00)),
    "RGB101010": (32, (0x3FF00000, 0x000FFC00, 0x000003FF)),
}
"""Bits per pixel; masks of red, green, blue and perhaps alpha."""
TOLERANCE = {16: 8, 32: 1}
"""OpenCV widens 5 bits to 8 by a shift."""


@pytest.fixture(scope="module", params=[96, 97], ids=["even width", "odd width"])
def drawn(request: pytest.FixtureRequest, quarters: Pillow.Image) -> Image:
    """Four colours, and grey on the right edge: RGB."""
    image = np.full((64, request.param, 3), 100, dtype=np.uint8)
    image[:, :90] = np.asarray(quarters)[:, :90]
    return image


def bit_field_bmp(
    image: Image,
    layout: tuple[int, tuple[int, ...]],
    header_size: int,
    compression: int = BIT_FIELDS,
    *,
    is_top_down: bool = False,
) -> bytes:
    """Encode an RGB image; the alpha bits are zero."""
    bits, masks = layout
    pixels = np.zeros(image.shape[:2], np.uint64)
    for channel, mask in enumerate(masks[:3]):
        maximum = mask // (mask & -mask)
        value = (image[:, :, channel].astype(np.uint64) * np.uint64(maximum) + np.uint64(127)) // np.uint64(255)
        pixels |= value * np.uint64(mask & -mask)
    height, width = image.shape[:2]
    padded = np.pad(pixels.astype(f"<u{bits // 8}"), ((0, 0), (0, width % 2 if bits == 16 else 0)))
    rows = (padded if is_top_down else padded[::-1]).tobytes()
    signed_height = -height if is_top_down else height
    mask_bytes = struct.pack("<4I", *masks, *[0] * (4 - len(masks)))
    header = struct.pack("<IiiHHIIiiII", header_size, width, signed_height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    if header_size == HEADER_SIZES[0]:
        header += mask_bytes if compression == ALPHA_BIT_FIELDS else mask_bytes[:12]
    else:
        header += (mask_bytes + bytes(100))[: header_size - 40]
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + rows


@pytest.mark.parametrize("compression", [BIT_FIELDS, ALPHA_BIT_FIELDS])
@pytest.mark.parametrize("header_size", HEADER_SIZES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bit_fields_are_decoded_to_the_drawn_colours(
    drawn: Image, layout: str, header_size: int, compression: int
) -> None:
    for is_top_down in (False, True):
        data = bit_field_bmp(drawn, LAYOUTS[layout], header_size, compression, is_top_down=is_top_down)
        difference = np.abs(decode(data).astype(np.int16) - drawn[:, :, ::-1])
        assert difference.max() <= TOLERANCE[LAYOUTS[layout][0]]


@pytest.mark.parametrize(
    "masks",
    [
        *((0, 0xFF00, 0xFF), (0xFF0000, 0, 0xFF), (0, 0, 0)),
        *((0xF0F000, 0xFF00, 0xFF), (0xFF0000, 0x0101, 0xFF), (0x80000001, 0xFF00, 0xFF)),
    ],
)
def test_empty_and_interrupted_masks_are_rejected(drawn: Image, masks: tuple[int, ...]) -> None:
    data = bytearray(bit_field_bmp(drawn, LAYOUTS["XRGB8888"], 40))
    data[54:66] = struct.pack("<3I", *masks)
    assert decode_error(bytes(data)) == "Image decoding failed: the colour masks of the BMP are invalid."


def test_masks_beyond_16_bits_are_rejected(drawn: Image) -> None:
    data = bytearray(bit_field_bmp(drawn, LAYOUTS["RGB565"], 40))
    data[54:58] = struct.pack("<I", 0x1F0000)
    assert decode_error(bytes(data)) == "Image decoding failed: the colour masks of the BMP are invalid."


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
@pytest.mark.parametrize("header_size", HEADER_SIZES)
def test_images_without_bit_fields_are_decoded_with_every_header_size(
    astronaut: Pillow.Image, mode: str, header_size: int
) -> None:
    data = write(astronaut.convert(mode), "BMP")
    added, start = header_size - 40, int.from_bytes(data[10:14], "little")
    sizes = struct.pack("<IHHII", len(data) + added, 0, 0, start + added, header_size)
    longer = b"BM" + sizes + data[18:54] + bytes(added) + data[54:]
    assert np.array_equal(decode(longer), decode(data))


@pytest.mark.parametrize("layout", ["RGB565", "XBGR8888"])
def test_bit_fields_without_all_rows_are_truncated(drawn: Image, layout: str) -> None:
    data = bit_field_bmp(drawn, LAYOUTS[layout], 108)
    assert decode_error(data[:-4]) == TRUNCATED_MESSAGE


def _with_file_size(data: bytes, size: int) -> bytes:
    return data[:2] + struct.pack("<I", size) + data[6:]


@pytest.mark.parametrize("size", [0, 1000])
def test_a_wrong_file_size_in_the_header_is_ignored(astronaut: Pillow.Image, size: int) -> None:
    complete = write(astronaut, "BMP")
    wrong = _with_file_size(complete, size)
    assert np.array_equal(decode(wrong), decode(complete))
    assert decode_error(wrong[:-900]) == TRUNCATED_MESSAGE


@pytest.mark.parametrize("width", [65, 66, 67, 68])
@pytest.mark.parametrize(("mode", "bits"), [("RGB", 24), ("L", 8), ("1", 1)])
def test_only_the_padding_of_the_last_row_of_a_bmp_may_be_missing(
    astronaut: Pillow.Image, mode: str, bits: int, width: int
) -> None:
    image = astronaut.convert(mode).crop((100, 100, 100 + width, 180))
    complete = write(image, "BMP")
    padding = -math.ceil(width * bits / 8) % 4
    for lost in range(padding + 1):
        assert np.array_equal(decode(complete[: len(complete) - lost]), decode(complete))
    assert decode_error(complete[: len(complete) - padding - 1]) == TRUNCATED_MESSAGE
