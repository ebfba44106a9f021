"""Coarse-to-fine detection against full detection: agreement on the target face, and milliseconds, per detector.

``python -m benchmarks.search [--every N] [--json FILE]`` on LFW, London, photos with and without masks, and collages of
``../shared``. One thread; decoding is included.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Box, Face, Image, MatchingStrategy
from app.environment import load_settings
from app.errors import ApiError
from app.imaging.decode import decode
from app.ops.stage_timer import StageTimer
from app.packs.manifest import DetectorSpec
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.search import detect_full, select
from app.vision.selection import NoFaceError
from benchmarks import SHARED
from benchmarks.tables import table, write_json
from tests.support.images import jpeg

_DATA = SHARED / "data"
_SCRFD = SHARED / "models/insightface/det_2.5g.onnx"
_MIN_IOU = 0.4
"""IoU from which two boxes belong to one face."""
_COLLAGES = 300
_HEAD = slice(50, 200)
"""Rows and columns of an LFW image that show the head."""
_SIZE_RATIO = 1.25
"""Smallest ratio of the sides of the largest head and the next."""
_FACE_SIZE = 110.0
"""Pixels of the face (square root of its box) that the largest crop needs."""
_DEADLINE_S = 60.0


class Sample(NamedTuple):
    """An encoded image, and the box of its largest face if that is known."""

    data: bytes
    largest: Box | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="use every n-th image only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (_DATA / "lfw").is_dir():
        print("search: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    result = {}
    for name, (detector, spec) in detectors().items():
        rows = {title: compare(samples, detector, spec) for title, samples in sample_sets(args.every).items()}
        table(name, rows)
        result[name] = rows
    write_json(args.json, result)


def detectors() -> dict[str, tuple[Detector, DetectorSpec]]:
    """Return the installed detectors, each on one thread."""
    store = Store.from_settings(load_settings().models)
    opened: dict[str, tuple[Detector, DetectorSpec]] = {}
    for name, file in (("open", None), ("omz", None), ("buffalo_m", _SCRFD)):
        spec = store.pack(name).detector
        path = file or store.resolve(store.pack(name))[spec.file]
        opened[f"{spec.family} (`{name}`)"] = DETECTORS[spec.family](OrtSession.open(path, "cpu", 1), spec), spec
    return opened


def sample_sets(every: int) -> dict[str, Iterator[Sample]]:
    lfw = sorted((_DATA / "lfw").glob("*/*.jpg"))
    london = sorted((_DATA / "london").glob("*/*.jpg"))
    masks = sorted((_DATA / "masks").glob("*/*"))
    files = {"LFW": lfw[::every], "London": london[::every], "masks": masks[::every]}
    samples = {title: (Sample(path.read_bytes()) for path in paths) for title, paths in files.items()}
    return {**samples, "collages": collages(lfw, _COLLAGES // every)}


def collages(lfw: list[Path], count: int) -> Iterator[Sample]:
    """Yield collages of 2 to 12 heads on noise; the largest head exceeds the next by at least ``_SIZE_RATIO``."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        cell = int(rng.integers(120, 400))
        sides = np.sort(rng.uniform(0.25, 1 / _SIZE_RATIO, columns * rows))
        sides[-1] = 1.0
        sides = rng.permutation((sides * cell).astype(int))
        canvas = rng.integers(60, 180, (rows * cell, columns * cell, 3), dtype=np.uint8)
        for index, side in enumerate(sides.tolist()):
            head = decode(lfw[rng.integers(len(lfw))].read_bytes())[_HEAD, _HEAD]
            top, left = (index // columns) * cell, (index % columns) * cell
            canvas[top : top + side, left : left + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
            if side == cell:
                largest = Box(left, top, left + side, top + side)
        yield Sample(jpeg(canvas), largest)


class _Result(NamedTuple):
    """The target face in pixels of the image, or None; milliseconds."""

    face: Face | None
    milliseconds: float


def compare(samples: Iterator[Sample], detector: Detector, spec: DetectorSpec) -> dict[str, object]:
    """Return the number of images in which both detections select the same face, and their durations."""
    detection = FaceDetectionPipeline(detector, spec)
    full_ms, coarse_ms = [], []
    same = labelled = correct_full = correct_coarse = 0
    for sample in samples:
        try:
            height = decode(sample.data).shape[0]
        except ApiError:
            continue  # smaller than 64 pixels
        full, coarse = _full(sample.data, detector, spec), _coarse_to_fine(sample.data, detection, height)
        same += _is_same(full.face, coarse.face)
        full_ms.append(full.milliseconds)
        coarse_ms.append(coarse.milliseconds)
        if sample.largest is not None:
            labelled += 1
            correct_full += _is_centre_in(full.face, sample.largest)
            correct_coarse += _is_centre_in(coarse.face, sample.largest)
    return {
        "images": len(full_ms),
        "same_face": same,
        "largest_detected": f"{correct_coarse} of {labelled} (full detection {correct_full})" if labelled else "",
        "ms_full": round(median(full_ms), 1),
        "ms_coarse_to_fine": round(median(coarse_ms), 1),
        "mean_ratio": round(sum(coarse_ms) / sum(full_ms), 2),
    }


def _full(data: bytes, detector: Detector, spec: DetectorSpec) -> _Result:
    started = time.perf_counter()
    image: Image = decode(data)
    faces = detect_full(detector, image, spec, rotate=False)
    face = select(detector, image, faces, MatchingStrategy.LARGEST, spec) if faces else None
    return _Result(face, 1000 * (time.perf_counter() - started))


def _coarse_to_fine(data: bytes, detection: FaceDetectionPipeline, height: int) -> _Result:
    started = time.perf_counter()
    timer = StageTimer.after(_DEADLINE_S)
    try:
        encoded = detection.parse(data, timer)
        target = detection.detect_target(encoded, MatchingStrategy.LARGEST, _FACE_SIZE, timer, rotate=False)
        detection.refine_landmarks(target, timer, rotate=False)
    except NoFaceError:
        return _Result(None, 1000 * (time.perf_counter() - started))
    return _Result(target.face.scaled(height / target.image.shape[0]), 1000 * (time.perf_counter() - started))


def _is_same(first: Face | None, second: Face | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.box.iou(second.box) >= _MIN_IOU


def _is_centre_in(face: Face | None, box: Box) -> bool:
    if face is None:
        return False
    x, y = (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
    return box.left <= x <= box.right and box.top <= y <= box.bottom


if __name__ == "__main__":
    main()
