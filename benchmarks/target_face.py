"""How often a harmless change of an image with several faces changes its target face, per pack.

``python -m benchmarks.target_face [--json FILE]`` on photos of LFW and of people with masks that show a second face of
at least a quarter of the largest face's area, on a group photo of insightface, and on collages of two heads of LFW
whose sides differ by 0 to 15 %. The changes: mirrored, resized to 75 %, JPEG quality 60, and 3 % cropped at one edge.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from app.domain import Box, Image, MatchingStrategy
from app.environment import load_settings
from app.errors import ApiError
from app.imaging.decode import decode
from app.ops.stage_timer import StageTimer
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.detect import DETECTORS
from app.vision.selection import NoFaceError, largest_first, visible_area
from benchmarks import SHARED
from benchmarks.tables import table, write_json
from tests.support.images import cast, jpeg
from tests.support.pipelines import detect_all

_DATA = SHARED / "data"
_PACKS = ("omz", "open")
_MIN_AREA_RATIO = 0.25
_GAPS = (0.0, 0.05, 0.1, 0.15)
_COLLAGES = 150
"""Number of collages per gap."""
_HEAD, _HEAD_SIDE = slice(50, 200), 150
"""Rows and columns of an LFW image that show the head; their number."""
_CROP, _MARGIN = 0.03, 16
"""Share of a side that is cropped; pixels of noise around the heads of a collage, more than that."""
_MIN_IOU = 0.4
"""IoU from which two boxes belong to one face."""
_FACE_SIZE, _DEADLINE_S = 110.0, 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (_DATA / "lfw").is_dir():
        print("target_face: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    result = {}
    for name in _PACKS:
        detection = open_detection(name)
        sets: dict[str, Iterator[Image]] = {
            "photos": chain(natural(detection), [cast()]),
            **{f"collages, {gap:.0%}": collages(gap) for gap in _GAPS},
        }
        rows = {title: swaps(detection, images) for title, images in sets.items()}
        table(name, rows)
        result[name] = rows
    write_json(args.json, result)


def open_detection(name: str) -> FaceDetectionPipeline:
    """Return the detection of the pack ``name`` on one thread."""
    store = Store.from_settings(load_settings().models)
    pack = store.pack(name)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return FaceDetectionPipeline(DETECTORS[pack.detector.family](session, pack.detector), pack.detector)


def natural(detection: FaceDetectionPipeline) -> Iterator[Image]:
    """Yield the photos of LFW and of people with masks that show two faces of similar size."""
    for path in sorted(chain((_DATA / "lfw").glob("*/*.jpg"), (_DATA / "masks").glob("*/*"))):
        try:
            image, faces = detect_all(detection, path.read_bytes())
        except ApiError:
            continue  # smaller than 64 pixels
        first, second, *_ = [*(visible_area(face, image) for face in largest_first(faces, image)), 0.0, 0.0]
        if second and second >= _MIN_AREA_RATIO * first:
            yield image


def collages(gap: float) -> Iterator[Image]:
    """Yield pairs of heads on noise; the second has ``1 - gap`` times the side of the first, its place is random."""
    rng = np.random.default_rng(0)
    paths = sorted((_DATA / "lfw").glob("*/*.jpg"))
    for _ in range(_COLLAGES):
        sides = rng.permutation([_HEAD_SIDE, round(_HEAD_SIDE * (1 - gap))]).tolist()
        canvas = rng.integers(60, 180, (_HEAD_SIDE + 3 * _MARGIN, 2 * _HEAD_SIDE + 4 * _MARGIN, 3), dtype=np.uint8)
        left = _MARGIN
        for side in sides:
            head = decode(paths[rng.integers(len(paths))].read_bytes())[_HEAD, _HEAD]
            left += int(rng.integers(_MARGIN))
            top = _MARGIN + int(rng.integers(_MARGIN))
            canvas[top : top + side, left : left + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
            left += side
        yield canvas


def _cropped(left: float, top: float, right: float, bottom: float) -> Callable[[Image], tuple[Image, float, float]]:
    def crop(image: Image) -> tuple[Image, float, float]:
        height, width = image.shape[:2]
        x, y = round(left * width), round(top * height)
        return image[y : height - round(bottom * height), x : width - round(right * width)], x, y

    return crop


_CROPS = {
    name: _cropped(*(_CROP * (edge == name) for edge in ("left", "top", "right", "bottom")))
    for name in ("left", "top", "right", "bottom")
}


def targets(detection: FaceDetectionPipeline, image: Image) -> Iterator[tuple[str, Box | None]]:
    """Yield each change of ``image`` and the box of its target face in pixels of ``image``; the first is no change."""
    width = image.shape[1]
    yield "none", _target(detection, jpeg(image, 95))
    mirrored = _target(detection, jpeg(np.ascontiguousarray(image[:, ::-1]), 95))
    yield "mirrored", mirrored and Box(width - mirrored.right, mirrored.top, width - mirrored.left, mirrored.bottom)
    smaller = _target(
        detection, jpeg(np.asarray(cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=3), np.uint8), 95)
    )
    yield "resized to 75 %", smaller and smaller.scaled(1 / 0.75)
    yield "JPEG quality 60", _target(detection, jpeg(image, 60))
    for name, crop in _CROPS.items():
        part, x, y = crop(image)
        box = _target(detection, jpeg(np.ascontiguousarray(part), 95))
        yield f"cropped, {name}", box and Box(box.left + x, box.top + y, box.right + x, box.bottom + y)


def _target(detection: FaceDetectionPipeline, data: bytes) -> Box | None:
    timer = StageTimer.after(_DEADLINE_S)
    try:
        encoded = detection.parse(data, timer)
        target = detection.detect_target(encoded, MatchingStrategy.LARGEST, _FACE_SIZE, timer, rotate=False)
    except NoFaceError:
        return None
    return target.face.scaled(target.reduction).box


def swaps(detection: FaceDetectionPipeline, images: Iterator[Image]) -> Mapping[str, object]:
    """Return the number of images, and of those whose target face each change swaps."""
    count = affected = 0
    changed: dict[str, int] = {}
    for image in images:
        (_, original), *others = targets(detection, image)
        if original is None:
            continue
        count += 1
        is_affected = False
        for name, box in others:
            is_swapped = box is None or box.iou(original) < _MIN_IOU
            changed[name] = changed.get(name, 0) + is_swapped
            is_affected |= is_swapped
        affected += is_affected
    return {"images": count, "swapped_by_any": affected, **changed}


if __name__ == "__main__":
    main()
