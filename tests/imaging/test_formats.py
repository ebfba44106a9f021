"""All files of Pillow's tests, the BMP suite and PngSuite: each one's answer, pixels, time and memory."""

from __future__ import annotations

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
from tests.imaging.formats import ANSWERS, ROOT, answer, cost, files

MOST_SECONDS, MOST_MEMORY = 5.0, 350 * 2**20
OTHERWISE = {
    "pillow/mmap_error.bmp": "says that its pixels start in the palette: OpenCV believes it, Pillow does not",
    "pillow/exif_imagemagick_orientation.png": "orientation in a text, which is not looked at",
    "pillow/xmp_tags_orientation.png": "orientation in a text, which is not looked at",
}
"""Where Pillow shows another picture, and why ours stands."""
DECODED = [name for name, found in ANSWERS.items() if " x " in found]


@pytest.mark.shared
def test_each_file_is_answered_as_listed_in_little_time_and_memory() -> None:
    paths = files()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        costs = dict(zip(paths, process.map(cost, [path.read_bytes() for path in paths]), strict=True))
    assert len(costs) > 800
    assert {str(path.relative_to(ROOT)): each.answer for path, each in costs.items()} == ANSWERS
    assert [path.name for path, each in costs.items() if each.seconds > MOST_SECONDS] == []
    assert [path.name for path, each in costs.items() if each.memory > MOST_MEMORY] == []


def _pillows(data: bytes, *, sees_alpha: bool) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = Pillow.open(io.BytesIO(data))
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):  # 16 bits
            grey = (np.asarray(picture).astype(np.int32) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if picture.has_transparency_data and sees_alpha:
            white = Pillow.new("RGBA", picture.size, "white")
            picture = Pillow.alpha_composite(white, picture.convert("RGBA"))
        return np.asarray(picture.convert("RGB"))[:, :, ::-1]


@pytest.mark.shared
def test_decoded_files_look_as_pillow_shows_them() -> None:
    assert len(DECODED) > 400
    tolerance = {".jpg": 1.0, ".jpeg": 1.0, ".bmp": 3.0}  # rounding of colours; of 5 bits to 8
    differences = {}
    for name in DECODED:
        data = (ROOT / name).read_bytes()
        ours, theirs = EncodedImage(data).pixels(), _pillows(data, sees_alpha=not name.endswith(".bmp"))
        assert ours.shape == theirs.shape, name
        if np.abs(ours.astype(np.int16) - theirs).mean() > tolerance.get((ROOT / name).suffix, 0.01):
            differences[name] = float(np.abs(ours.astype(np.int16) - theirs).mean())
    assert differences.keys() == OTHERWISE.keys()


@pytest.mark.shared
def test_reduced_files_show_the_same() -> None:
    tried = 0
    tolerance = {2: 5, 4: 6, 8: 13}  # a printed halftone is the most; the median is below 1
    for name in DECODED:
        picture = EncodedImage((ROOT / name).read_bytes())
        whole = picture.pixels()
        longest = max(whole.shape[:2])
        for reduction in {picture.reduction(longest // factor) for factor in (2, 4, 8)} - {1}:
            small = picture.pixels(reduction)
            more = [-length % reduction for length in whole.shape[:2]]
            padded = np.pad(whole, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
            fitted = cv2.resize(padded, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(np.int16) - fitted).mean() < tolerance[reduction], (name, reduction)
            tried += 1
    assert tried > 60


def _countless_scans() -> bytes:
    """A progressive JPEG of the largest size with as many scans as may be."""
    data = write(Pillow.new("L", (4000, 4000), 77), "JPEG", progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[last:end] * (100 - data.count(b"\xff\xda")) + data[end:]


def _noise(side: int, mode: str) -> Pillow.Image:
    grain = np.frombuffer(random.Random(1).randbytes(side * side // 64 * 3), np.uint8).reshape(side // 8, side // 8, 3)
    picture: Pillow.Image = Pillow.fromarray(grain)
    return picture.resize((side, side), Pillow.Resampling.BICUBIC).convert(mode)


WORST: dict[str, Callable[[], bytes]] = {
    "the largest JPEG": lambda: write(_noise(4000, "RGB"), "JPEG", quality=60),
    "the largest progressive JPEG": lambda: write(_noise(4000, "RGB"), "JPEG", quality=60, progressive=True),
    "the largest JPEG of four colours": lambda: write(_noise(4000, "CMYK"), "JPEG", quality=25, progressive=True),
    "the largest JPEG of a hundred scans": _countless_scans,
    "the largest PNG": cv2.imencode(".png", np.full((2000, 2000, 4), 0x1234, np.uint16))[1].tobytes,
    "the largest BMP": lambda: write(Pillow.new("P", (2000, 1900)), "BMP"),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_pictures_cost_little_time_and_memory(name: str) -> None:
    data = WORST[name]()
    assert len(data) < 4 * 2**20
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found = process.submit(cost, data).result()
    print(f"{name}: {found.answer}, {found.seconds:.2f} s, {found.memory / 2**20:.0f} MB")  # noqa: T201
    assert " x " in found.answer
    assert found.seconds < MOST_SECONDS
    assert found.memory < MOST_MEMORY


def test_a_bmp_whose_colours_are_mistaken_is_refused() -> None:
    data = write(Pillow.new("RGB", (64, 64), "red"), "BMP")
    assert answer(data) == "64 x 64"
    assert answer(data[:14] + b"\x34" + data[15:]) == "ImageDecodeFailed"
