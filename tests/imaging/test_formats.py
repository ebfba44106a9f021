"""Outcome, pixels, time and memory for all files of Pillow's tests, the BMP suite and PngSuite."""

import io
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from app.domain import Image
from app.imaging.decode import EncodedImage
from tests.imaging.conftest import write
from tests.imaging.formats import EXPECTED, ROOT, cost, files

MAX_SECONDS, MAX_MEMORY = 5.0, 350 * 2**20
DIFFERENCES_TO_PILLOW = {
    "pillow/mmap_error.bmp": "claims that its pixels start in the palette, which OpenCV follows and Pillow does not",
    "pillow/exif_imagemagick_orientation.png": "orientation in a text chunk, which is ignored",
    "pillow/xmp_tags_orientation.png": "orientation in a text chunk, which is ignored",
}
"""Files that Pillow decodes to other pixels, and the reason."""
REJECTED_BY_PILLOW = {
    *("pillow/bmp/g/rgb32bf.bmp", "pillow/bmp/q/rgb16-231.bmp", "pillow/bmp/q/rgb32-111110.bmp"),
    *("pillow/bmp/q/rgba16-4444.bmp", "pillow/bmp/q/rgba32abf.bmp"),
    *("pillow/truncated_end_chunk.png", "pillow/truncated_jpeg.jpg"),
}
"""Bit fields that Pillow does not support, and files that lack only the end of their format."""
PIXEL_NOISE = "pillow/truncated_jpeg.jpg"
"""Its reduced pixels depend on the filter."""
DECODED = [name for name, expected in EXPECTED.items() if " x " in expected]


@pytest.mark.shared
def test_all_files_have_the_listed_outcome_within_time_and_memory_limits() -> None:
    paths = files()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        costs = dict(zip(paths, process.map(cost, [path.read_bytes() for path in paths]), strict=True))
    assert len(costs) > 800
    assert {str(path.relative_to(ROOT)): item.outcome for path, item in costs.items()} == EXPECTED
    assert [path.name for path, item in costs.items() if item.seconds > MAX_SECONDS] == []
    assert [path.name for path, item in costs.items() if item.memory > MAX_MEMORY] == []


def _decode_with_pillow(data: bytes, *, uses_alpha: bool) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = Pillow.open(io.BytesIO(data))
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits
            grey = (np.asarray(image).astype(np.int32) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.has_transparency_data and uses_alpha:
            white = Pillow.new("RGBA", image.size, "white")
            image = Pillow.alpha_composite(white, image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))[:, :, ::-1]


@pytest.mark.shared
def test_pixels_are_those_of_pillow() -> None:
    assert len(DECODED) > 400
    tolerance = {".jpg": 1.0, ".jpeg": 1.0, ".bmp": 3.0}  # rounding of colours; conversion of 5 bits to 8
    differences, rejected = {}, set()
    for name in DECODED:
        data = (ROOT / name).read_bytes()
        pixels = EncodedImage(data).pixels()
        try:
            expected = _decode_with_pillow(data, uses_alpha=not name.endswith(".bmp"))
        except OSError:
            rejected.add(name)
            continue
        assert pixels.shape == expected.shape, name
        if np.abs(pixels.astype(np.int16) - expected).mean() > tolerance.get((ROOT / name).suffix, 0.01):
            differences[name] = float(np.abs(pixels.astype(np.int16) - expected).mean())
    assert differences.keys() == DIFFERENCES_TO_PILLOW.keys()
    assert rejected == REJECTED_BY_PILLOW


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "same", "tolerance"),
    [
        ("g/rgb32bf.bmp", "g/rgb24.bmp", 0),
        ("q/rgb32h52.bmp", "g/rgb24.bmp", 0),
        ("q/rgb32-111110.bmp", "g/rgb24.bmp", 1),
        ("q/rgba32abf.bmp", "q/rgba32.bmp", 0),
        ("q/rgba16-4444.bmp", "q/rgba32.bmp", 15),
    ],
)
def test_bit_fields_of_the_bmp_suite_have_the_pixels_of_the_same_image(name: str, same: str, tolerance: int) -> None:
    pixels, expected = (EncodedImage((ROOT / "pillow/bmp" / file).read_bytes()).pixels() for file in (name, same))
    assert np.abs(pixels.astype(np.int16) - expected).max() <= tolerance


@pytest.mark.shared
def test_reduced_pixels_resemble_the_resized_images() -> None:
    compared = 0
    tolerance = {2: 5, 4: 6, 8: 13}  # maximum: a printed halftone; the median is below 1
    for name in set(DECODED) - {PIXEL_NOISE}:
        encoded = EncodedImage((ROOT / name).read_bytes())
        full = encoded.pixels()
        longest = max(full.shape[:2])
        for reduction in {encoded.reduction(min_longer_side=longest // factor) for factor in (2, 4, 8)} - {1}:
            reduced = encoded.pixels(reduction)
            padding = [-length % reduction for length in full.shape[:2]]
            padded = np.pad(full, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="edge")
            resized = cv2.resize(padded, (reduced.shape[1], reduced.shape[0]), interpolation=cv2.INTER_AREA)
            assert np.abs(reduced.astype(np.int16) - resized).mean() < tolerance[reduction], (name, reduction)
            compared += 1
    assert compared > 60


def _jpeg_of_100_scans() -> bytes:
    """Return a progressive JPEG of the largest size with the maximum number of scans."""
    data = write(Pillow.new("L", (4000, 4000), 77), "JPEG", progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[last:end] * (100 - data.count(b"\xff\xda")) + data[end:]


def _noise(side: int, mode: str) -> Pillow.Image:
    grain = np.frombuffer(random.Random(1).randbytes(side * side // 64 * 3), np.uint8).reshape(side // 8, side // 8, 3)
    image: Pillow.Image = Pillow.fromarray(grain)
    return image.resize((side, side), Pillow.Resampling.BICUBIC).convert(mode)


MOST_EXPENSIVE: dict[str, Callable[[], bytes]] = {
    "the largest JPEG": lambda: write(_noise(4000, "RGB"), "JPEG", quality=60),
    "the largest progressive JPEG": lambda: write(_noise(4000, "RGB"), "JPEG", quality=60, progressive=True),
    "the largest JPEG of four colours": lambda: write(_noise(4000, "CMYK"), "JPEG", quality=25, progressive=True),
    "the largest JPEG of a hundred scans": _jpeg_of_100_scans,
    "the largest PNG": cv2.imencode(".png", np.full((2000, 2000, 4), 0x1234, np.uint16))[1].tobytes,
    "the largest BMP": lambda: write(Pillow.new("P", (2000, 1900)), "BMP"),
}


@pytest.mark.parametrize("name", MOST_EXPENSIVE)
def test_the_most_expensive_images_stay_within_time_and_memory_limits(name: str) -> None:
    data = MOST_EXPENSIVE[name]()
    assert len(data) < 4 * 2**20
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        measured = process.submit(cost, data).result()
    print(f"{name}: {measured.outcome}, {measured.seconds:.2f} s, {measured.memory / 2**20:.0f} MB")  # noqa: T201
    assert " x " in measured.outcome
    assert measured.seconds < MAX_SECONDS
    assert measured.memory < MAX_MEMORY
