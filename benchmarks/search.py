"""The search from coarse to fine against the whole search: the same face, and what it costs; for each detector.

Pictures: the development half of LFW, London, masks (``../shared/data``), and collages of LFW's faces whose largest is
known. Times are medians of one thread, from the bytes of a file to the landmarks of the face to compare.
``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
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
from app.vision.search import ConfidenceThresholds, detect_full
from app.vision.selection import NoFaceError, select
from benchmarks.tables import table
from tests.support.images import jpeg

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_SCRFD = Path(__file__).resolve().parents[2] / "shared" / "models/insightface/det_2.5g.onnx"
_SAME = 0.4
"""Overlap (intersection over union) from which two boxes are of one face."""
_COLLAGES = 300
_HEAD = slice(50, 200)
"""Rows and columns of a picture of LFW that show the head."""
_AHEAD = 1.25
"""Ratio of the sides of the largest head and the next."""
_SIZE = 110.0
"""Pixels that a face needs, square root of its box: as many as the largest crop asks for."""
_PATIENCE_S = 60.0


class Sample(NamedTuple):
    """A file, and where its largest face must be found, if that is known."""

    data: bytes
    largest: Box | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="look at every n-th picture only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (_DATA / "lfw").is_dir():
        print("search: skipped, the folder ../shared/data/lfw is not here")
        return
    cv2.setNumThreads(1)
    result = {}
    for name, (detector, spec) in detectors().items():
        rows = {title: compare(samples, detector, spec) for title, samples in pictures(args.every).items()}
        table(name, rows)
        result[name] = rows
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def detectors() -> dict[str, tuple[Detector, DetectorSpec]]:
    """Return the detectors that are here, each on one thread."""
    store = Store.of(load_settings().models)
    found = {}
    for name, file in (("open", None), ("omz", None), ("buffalo_m", _SCRFD)):
        spec = store.pack(name).detector
        path = file or store.resolve(store.pack(name))[spec.file]
        found[f"{spec.family} (`{name}`)"] = DETECTORS[spec.family](OrtSession.open(path, "cpu", 1), spec), spec
    return found


def pictures(every: int) -> dict[str, Iterator[Sample]]:
    lfw = sorted((_DATA / "lfw").glob("*/*.jpg"))
    london = sorted((_DATA / "london").glob("*/*.jpg"))
    masks = sorted((_DATA / "masks").glob("*/*"))
    files = {"LFW": lfw[::every], "London": london[::every], "masks": masks[::every]}
    samples = {title: (Sample(path.read_bytes()) for path in paths) for title, paths in files.items()}
    return {**samples, "collages": collages(lfw, _COLLAGES // every)}


def collages(lfw: list[Path], count: int) -> Iterator[Sample]:
    """Yield pictures of 2 to 12 people on noise, one of whom stands out by ``_AHEAD`` in the side of the head."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        cell = int(rng.integers(120, 400))
        sides = np.sort(rng.uniform(0.25, 1 / _AHEAD, columns * rows))
        sides[-1] = 1.0
        sides = rng.permutation((sides * cell).astype(int))
        canvas = rng.integers(60, 180, (rows * cell, columns * cell, 3), dtype=np.uint8)
        for place, side in enumerate(sides.tolist()):
            head = decode(lfw[rng.integers(len(lfw))].read_bytes())[_HEAD, _HEAD]
            top, left = (place // columns) * cell, (place % columns) * cell
            canvas[top : top + side, left : left + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
            if side == cell:
                largest = Box(left, top, left + side, top + side)
        yield Sample(jpeg(canvas), largest)


class _Outcome(NamedTuple):
    """What a search made of a picture: a face in its pixels, or none; milliseconds."""

    face: Face | None
    milliseconds: float


def compare(samples: Iterator[Sample], detector: Detector, spec: DetectorSpec) -> dict[str, object]:
    """Return in how many pictures both searches choose the same face, and what they cost."""
    detection = FaceDetectionPipeline(detector, spec)
    whole, coarse, known, right, same = [], [], 0, [0, 0], 0
    for sample in samples:
        try:
            scale = decode(sample.data).shape[0]
        except ApiError:
            continue  # of less than 64 pixels
        one, other = _whole(sample.data, detector, spec), _coarse(sample.data, detection, scale)
        same += _are_same(one.face, other.face)
        whole.append(one.milliseconds)
        coarse.append(other.milliseconds)
        if sample.largest is not None:
            known += 1
            right[0] += _is_in(one.face, sample.largest)
            right[1] += _is_in(other.face, sample.largest)
    return {
        "pictures": len(whole),
        "same_face": same,
        "largest_found": f"{right[1]} of {known} (whole search {right[0]})" if known else "",
        "ms_whole_search": round(median(whole), 1),
        "ms_coarse_to_fine": round(median(coarse), 1),
        "mean_ratio": round(sum(coarse) / sum(whole), 2),
    }


def _whole(data: bytes, detector: Detector, spec: DetectorSpec) -> _Outcome:
    started = time.perf_counter()
    image: Image = decode(data)
    faces = detect_full(detector, image, ConfidenceThresholds.of(spec), rotate=False)
    face = select(faces, image, MatchingStrategy.LARGEST, spec.selection_confidence) if faces else None
    return _Outcome(face, 1000 * (time.perf_counter() - started))


def _coarse(data: bytes, detection: FaceDetectionPipeline, height: int) -> _Outcome:
    started = time.perf_counter()
    timer = StageTimer.after(_PATIENCE_S)
    try:
        encoded = detection.parse(data, timer)
        target = detection.detect_target(encoded, MatchingStrategy.LARGEST, _SIZE, timer, rotate=False)
        detection.refine_landmarks(target, timer)
    except NoFaceError:
        return _Outcome(None, 1000 * (time.perf_counter() - started))
    return _Outcome(target.face.scaled(height / target.image.shape[0]), 1000 * (time.perf_counter() - started))


def _are_same(one: Face | None, other: Face | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.box.iou(other.box) >= _SAME


def _is_in(face: Face | None, place: Box) -> bool:
    if face is None:
        return False
    x, y = (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
    return place.left <= x <= place.right and place.top <= y <= place.bottom


if __name__ == "__main__":
    main()
