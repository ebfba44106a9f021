import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageOps

from app.domain import Image
from app.errors import ApiError, ErrorCode
from app.imaging.decode import EncodedImage, decode
from tests.imaging.conftest import decode_error, write

_REJECTIONS = {ErrorCode.IMAGE_DECODE_FAILED, ErrorCode.IMAGE_RESOLUTION_EXCEED, ErrorCode.IMAGE_RESOLUTION_TOO_SMALL}
_ORIENTATION = 0x0112


def _bgr(image: Pillow.Image) -> Image:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def _is_bgr_image(image: Image) -> bool:
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.flags.c_contiguous


def _error(data: bytes) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        decode(data)
    return caught.value.code


def _mean_difference(first: Image, second: Image) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(np.int16) - second).mean())


def _grey(size: tuple[int, int], mode: str = "L") -> Pillow.Image:
    return Pillow.new(mode, size, 128 if mode == "L" else (128, 128, 128))


# --- formats ---


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("PNG", "RGB", 0),
        ("PNG", "L", 0),
        ("PNG", "P", 0),
        ("PNG", "1", 0),
        ("BMP", "RGB", 0),
        ("BMP", "L", 0),
        ("BMP", "P", 0),
        ("BMP", "1", 0),
        ("JPEG", "RGB", 2),
        ("JPEG", "L", 1.5),
        ("JPEG", "CMYK", 3),
        ("MPO", "RGB", 2),
    ],
)
def test_every_format_and_mode_is_decoded_to_bgr(
    astronaut: Pillow.Image, name: str, mode: str, tolerance: float
) -> None:
    original = astronaut.convert(mode)
    options = {"save_all": True, "append_images": [original]} if name == "MPO" else {}
    data = write(original, name, quality=95, **options)
    image = decode(data)
    assert _is_bgr_image(image)
    assert _mean_difference(image, _bgr(original)) <= tolerance


def test_a_progressive_jpeg_is_decoded(astronaut: Pillow.Image) -> None:
    assert _mean_difference(decode(write(astronaut, "JPEG", progressive=True, quality=95)), _bgr(astronaut)) < 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_values_are_reduced_to_their_upper_8_bits(channels: int) -> None:
    deep = np.full((64, 70, channels), 0x12FF, dtype=np.uint16)
    deep[:, :, 3:] = 0xFFFF
    image = decode(cv2.imencode(".png", deep)[1].tobytes())
    assert _is_bgr_image(image)
    assert np.unique(image).tolist() == [0x12]


@pytest.mark.parametrize(("alpha", "blended"), [(255, [20, 40, 200]), (128, [137, 147, 227]), (1, [254, 254, 255])])
def test_transparent_pixels_are_blended_with_white(alpha: int, blended: list[int]) -> None:
    image = decode(write(Pillow.new("RGBA", (64, 64), (200, 40, 20, alpha)), "PNG"))
    assert image[0, 0].tolist() == blended


def _png_with_transparency(mode: str, opaque_rows: int) -> bytes:
    """Return a PNG of 64 x 64 pixels that is opaque black in the first rows and else transparent."""
    image = Pillow.new("RGB", (64, 64), (10, 20, 30))
    image.paste((0, 0, 0), (0, 0, 64, opaque_rows))
    if mode in {"LA", "RGBA"}:
        image = image.convert(mode)
        image.putalpha(Pillow.fromarray(np.where(np.arange(64)[:, None] < opaque_rows, 255, np.zeros(64)).astype("u1")))
        return write(image, "PNG")
    image = image.convert(mode, palette=Pillow.Palette.ADAPTIVE)
    return write(image, "PNG", transparency=image.getpixel((0, 63)))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "RGB"])
def test_every_kind_of_transparency_is_recognised(mode: str) -> None:
    image = decode(_png_with_transparency(mode, opaque_rows=1))
    assert (np.unique(image[0]).tolist(), np.unique(image[1:]).tolist()) == ([0], [255])


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "RGB"])
def test_an_image_that_is_transparent_everywhere_is_rejected(mode: str) -> None:
    message = "Image decoding failed: every pixel of the image is transparent."
    assert decode_error(_png_with_transparency(mode, opaque_rows=0)) == message


def test_a_grey_png_with_a_transparent_shade_is_decoded_opaque() -> None:
    assert np.unique(decode(write(_grey((64, 64)), "PNG", transparency=128))).tolist() == [128]


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF", "ICO", "PPM", "JPEG2000", "TGA", "DIB"])
def test_other_formats_are_rejected_by_an_error_that_lists_the_accepted_ones(
    astronaut: Pillow.Image, name: str
) -> None:
    assert decode_error(write(astronaut, name)) == _UNSUPPORTED_FORMAT


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"\0\0\0\x18ftypheic", b"<html>", b""])
def test_formats_unknown_to_pillow_are_rejected_alike(data: bytes) -> None:
    assert decode_error(data) == _UNSUPPORTED_FORMAT


_UNSUPPORTED_FORMAT = "Image decoding failed: the image is not in JPEG, PNG or BMP format."


# --- sizes ---


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        ("JPEG", (4000, 64), None),
        ("JPEG", (64, 4000), None),
        ("JPEG", (4001, 64), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("JPEG", (64, 4001), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("JPEG", (64, 64), None),
        ("JPEG", (63, 64), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
        ("JPEG", (64, 63), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
        ("JPEG", (4001, 63), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("PNG", (2000, 64), None),
        ("PNG", (2001, 64), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("PNG", (64, 2001), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("PNG", (63, 63), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
        ("PNG", (1, 1), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
        ("BMP", (64, 2000), None),
        ("BMP", (64, 2001), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ("BMP", (64, 63), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
    ],
)
def test_sizes_up_to_the_limits_are_accepted(name: str, size: tuple[int, int], code: ErrorCode | None) -> None:
    data = write(_grey(size), name)
    if code is None:
        assert decode(data).shape == (size[1], size[0], 3)
    else:
        assert _error(data) is code


def _png_with_claimed_size(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82"


@pytest.mark.parametrize("size", [(9_000, 9_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_rejected_by_its_header(size: tuple[int, int]) -> None:
    assert _error(_png_with_claimed_size(*size)) is ErrorCode.IMAGE_RESOLUTION_EXCEED


def test_a_jpeg_of_countless_scans_is_rejected() -> None:
    data = write(_grey((64, 64)), "JPEG", progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    assert decode(data).shape == (64, 64, 3)
    assert _error(data[:end] + data[last:end] * 100 + data[end:]) is ErrorCode.IMAGE_DECODE_FAILED


# --- orientation ---

_STORED_TRANSFORMS = {
    1: None,
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
"""Orientation -> transform from the upright image to the stored one."""


def _exif(value: object) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[_ORIENTATION] = value
    return exif


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", list(_STORED_TRANSFORMS))
def test_all_orientations_are_rotated_upright(quarters: Pillow.Image, name: str, orientation: int) -> None:
    transform = _STORED_TRANSFORMS[orientation]
    stored = quarters if transform is None else quarters.transpose(transform)
    image = decode(write(stored, name, exif=_exif(orientation), quality=95, subsampling=0))
    assert image.flags.c_contiguous
    assert _mean_difference(image, _bgr(quarters)) < 2


@pytest.mark.parametrize("value", [0, 9, 99, 65535])
def test_an_invalid_orientation_is_ignored(quarters: Pillow.Image, value: int) -> None:
    assert _mean_difference(decode(write(quarters, "PNG", exif=_exif(value))), _bgr(quarters)) == 0


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\x7f\xff\xff\xff\x7f",  # a string of 2 GB
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\0\0\0\0\0\0\0\0",  # a fraction, 0/0
    ],
)
def test_damaged_exif_is_ignored(quarters: Pillow.Image, exif: bytes) -> None:
    assert _mean_difference(decode(write(quarters, "JPEG", exif=exif, quality=95, subsampling=0)), _bgr(quarters)) < 2


def test_warnings_of_pillow_are_hidden(quarters: Pillow.Image) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01"
    data = write(quarters, "JPEG", exif=exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Pillow.open(io.BytesIO(data)) as opened:
            opened.getexif().get(_ORIENTATION)
    assert caught, "Pillow warns about this file"
    assert decode(data).shape == (64, 96, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_applied_like_pillow(astronaut: Pillow.Image, orientation: int) -> None:
    data = write(astronaut, "PNG", exif=_exif(orientation))
    with Pillow.open(io.BytesIO(data)) as opened:
        assert np.array_equal(decode(data), _bgr(ImageOps.exif_transpose(opened)))


# --- damage ---


def _with_size(jpeg: bytes, width: int, height: int) -> bytes:
    start = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:start] + struct.pack(">HH", height, width) + jpeg[start + 4 :]


@pytest.mark.parametrize(
    ("size", "outcome"),
    [
        ((65535, 65535), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ((4001, 220), ErrorCode.IMAGE_RESOLUTION_EXCEED),
        ((300, 63), ErrorCode.IMAGE_RESOLUTION_TOO_SMALL),
        ((300, 0), ErrorCode.IMAGE_DECODE_FAILED),
        ((300, 221), "decoded"),
        ((4000, 4000), "decoded"),
    ],
)
def test_the_claimed_size_of_a_jpeg_is_checked(astronaut: Pillow.Image, size: tuple[int, int], outcome: str) -> None:
    assert _decode_outcome(_with_size(write(astronaut, "JPEG"), *size)) == outcome


@pytest.mark.parametrize(("width", "height"), [(301, 220), (300, 221), (1999, 1999), (-300, 220), (300, 2**31 - 1)])
def test_a_bmp_with_fewer_pixels_than_claimed_is_rejected(astronaut: Pillow.Image, width: int, height: int) -> None:
    data = write(astronaut, "BMP")
    assert _decode_outcome(data[:18] + struct.pack("<ii", width, height) + data[26:]) in _REJECTIONS


def test_a_bmp_may_be_stored_top_down(astronaut: Pillow.Image) -> None:
    data = write(astronaut, "BMP")
    flipped = data[:22] + struct.pack("<i", -astronaut.height) + data[26:]
    assert np.array_equal(decode(flipped), decode(data)[::-1])


@pytest.mark.parametrize("position", [33, -12])
def test_a_text_chunk_of_gigabytes_is_not_decompressed(astronaut: Pillow.Image, position: int) -> None:
    png = write(astronaut, "PNG")
    text = b"zTXt" + b"a\0\0" + zlib.compress(bytes(7_900_000), 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    assert np.array_equal(decode(png[:position] + chunk * 300 + png[position:]), decode(png))


@pytest.mark.parametrize("result", [None, np.zeros((64, 64, 3), dtype=np.uint8), cv2.error("out of memory, at /path")])
def test_unexpected_results_of_opencv_raise_an_api_error(
    astronaut: Pillow.Image, monkeypatch: pytest.MonkeyPatch, result: object
) -> None:
    def imdecode(*_: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(cv2, "imdecode", imdecode)
    assert _error(write(astronaut, "JPEG")) is ErrorCode.IMAGE_DECODE_FAILED


def test_concurrent_threads_preserve_the_warning_filters(quarters: Pillow.Image) -> None:
    data = write(quarters, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01")
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        assert {image.shape for image in threads.map(decode, [data] * 200)} == {(64, 96, 3)}
    assert warnings.filters == before


def test_opencv_writes_nothing_about_damaged_files(astronaut: Pillow.Image, capfd: pytest.CaptureFixture[str]) -> None:
    assert _error(write(astronaut, "BMP")[:-99]) is ErrorCode.IMAGE_DECODE_FAILED
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP"])
def test_trailing_bytes_are_ignored(astronaut: Pillow.Image, name: str) -> None:
    data = write(astronaut, name)
    assert np.array_equal(decode(data + b"\0" * 99 + b"trailing garbage"), decode(data))


def test_a_wrong_checksum_is_rejected(astronaut: Pillow.Image) -> None:
    data = bytearray(write(astronaut, "PNG"))
    data[len(data) // 2] ^= 1
    assert _error(bytes(data)) is ErrorCode.IMAGE_DECODE_FAILED


def _decode_outcome(data: bytes) -> str:
    try:
        image = decode(data)
    except ApiError as error:
        return error.code
    assert _is_bgr_image(image)
    return "decoded"


def _valid_files() -> list[bytes]:
    image = _grey((70, 66), "RGB")
    ImageDraw.Draw(image).ellipse((10, 10, 50, 60), fill=(200, 30, 60))
    return [
        write(image, "JPEG", exif=_exif(6)),
        write(image, "JPEG", progressive=True),
        write(image, "PNG", exif=_exif(6)),
        write(image.convert("P"), "PNG", transparency=0),
        write(image, "BMP"),
        write(image.convert("P"), "BMP"),
    ]


_PREFIXES = st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"BM"])


@given(_PREFIXES, st.binary(max_size=300))
def test_random_bytes_are_rejected(prefix: bytes, rest: bytes) -> None:
    assert _error(prefix + rest) in _REJECTIONS


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(_valid_files()),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6),
    st.sampled_from([1.0, 0.15, 1.0]),
)
def test_damaged_files_are_decoded_or_rejected(
    valid_file: bytes, changes: list[tuple[float, bytes]], spread: float
) -> None:
    data = bytearray(valid_file)
    for position, change in changes:
        start = int(position * spread * len(data))
        data[start : start + len(change)] = change
    assert _decode_outcome(bytes(data)) in {"decoded", *_REJECTIONS}


# --- third-party files ---


@pytest.mark.shared
@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
@pytest.mark.parametrize("orientation", [0, *range(2, 9)])
def test_a_photo_stored_in_all_orientations_is_decoded_alike(shared: Path, name: str, orientation: int) -> None:
    folder = shared / "data" / "exif_orientation"
    upright = decode((folder / f"{name}_1.jpg").read_bytes())
    image = decode((folder / f"{name}_{orientation}.jpg").read_bytes())
    assert (image.shape[0] > image.shape[1]) is (name == "Portrait")
    # Only the number drawn into each photo differs.
    assert _mean_difference(image, upright) < 12


# --- reduced resolution ---


@pytest.mark.parametrize(
    ("size", "min_side", "reduction"),
    [((639, 400), 640, 1), ((1279, 400), 640, 1), ((1280, 400), 640, 2), ((400, 2560), 640, 4), ((4000, 3000), 500, 8)],
)
def test_a_large_jpeg_is_decoded_at_reduced_size(size: tuple[int, int], min_side: int, reduction: int) -> None:
    encoded = EncodedImage(write(_grey(size), "JPEG"))
    assert encoded.reduction(min_longer_side=min_side) == reduction
    height, width = encoded.pixels(reduction).shape[:2]
    assert (width, height) == (-(-size[0] // reduction), -(-size[1] // reduction))
    assert max(width, height) >= min(min_side, max(size))


@pytest.mark.parametrize("name", ["PNG", "BMP"])
def test_other_formats_are_decoded_at_full_size(name: str) -> None:
    assert EncodedImage(write(_grey((1400, 1300)), name)).reduction(min_longer_side=640) == 1


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_reduced_pixels_resemble_the_resized_image(astronaut: Pillow.Image, mode: str, reduction: int) -> None:
    data = write(astronaut.crop((0, 0, 240, 160)).convert(mode), "JPEG", quality=95)
    full = decode(data)
    width, height = 240 // reduction, 160 // reduction
    resized = np.asarray(cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    reduced = EncodedImage(data).pixels(reduction)
    assert _is_bgr_image(reduced)
    assert _mean_difference(reduced, resized) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_pixels_are_upright(astronaut: Pillow.Image, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[_ORIENTATION] = orientation
    data = write(astronaut.crop((0, 0, 400, 512)), "JPEG", quality=95, exif=exif)
    full = decode(data)
    resized = cv2.resize(full, (full.shape[1] // 4, full.shape[0] // 4), interpolation=cv2.INTER_AREA)
    assert _mean_difference(EncodedImage(data).pixels(4), np.asarray(resized, np.uint8)) < 3


def test_a_forbidden_size_is_rejected_before_decoding() -> None:
    with pytest.raises(ApiError) as caught:
        EncodedImage(write(_grey((4001, 70)), "JPEG"))
    assert caught.value.code is ErrorCode.IMAGE_RESOLUTION_EXCEED
