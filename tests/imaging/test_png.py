"""Damaged PNGs are compared if all rows are there, else rejected as truncated."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from app.imaging.decode import decode
from tests.imaging.conftest import TRUNCATED_MESSAGE, decode_error, write


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


END_CHUNK = _chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize(
    "tail",
    [
        *(b"", END_CHUNK[:4], END_CHUNK[:-1], END_CHUNK[:-4] + b"????", bytes(500), b"\xff" * 99),
        *(
            _chunk(b"tEXt", b"Title\0a")[:-3],
            b"\xff\xff\xff\xfftEXtTitle" + END_CHUNK,
            b"\0\0\0\4eXIfII*\0????" + END_CHUNK,
        ),
        _chunk(b"tEXt", b"Title\0a")[:-4] + b"????" + END_CHUNK,
    ],
)
def test_a_png_with_damage_after_its_last_row_is_decoded(astronaut: Pillow.Image, mode: str, tail: bytes) -> None:
    complete = write(astronaut.convert(mode), "PNG")
    assert np.array_equal(decode(complete.removesuffix(END_CHUNK) + tail), decode(complete))


@pytest.mark.parametrize("lost", [1, 4])
def test_a_png_that_lacks_the_checksum_of_its_last_row_is_decoded(astronaut: Pillow.Image, lost: int) -> None:
    complete = write(astronaut, "PNG")
    assert np.array_equal(decode(complete.removesuffix(END_CHUNK)[:-lost]), decode(complete))


@pytest.mark.parametrize("lost", [5, 9, 50, 5000])
def test_a_png_without_all_rows_is_truncated(astronaut: Pillow.Image, lost: int) -> None:
    assert decode_error(write(astronaut, "PNG").removesuffix(END_CHUNK)[:-lost]) == TRUNCATED_MESSAGE
