"""Rotated images without EXIF (``NeedRotateDetection``): detection, score and cost, for one pack.

``python -m benchmarks.rotation [PACK] [--json FILE]`` on ``../shared/data``. One image of each of 200 people of LFW,
and every photo of London, is rotated and compared with another image of the same person. Quarter turns are exact;
other rotations are interpolated on black. Then every image of LFW runs upright with the option, and upright, leaning
and rotated without it. Impostor pairs, both images rotated alike, are scored without it. One thread.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data

from app.domain import Face, Image
from app.environment import load_settings
from app.packs.manifest import DetectorSpec
from app.packs.store import Store
from app.vision.detect.base import Detector
from app.vision.rotation import roll
from app.vision.search import detect_full
from benchmarks import SHARED
from benchmarks.pipelines import ImagePair, Pipeline, detectors, lfw_pairs, london_pairs, read
from benchmarks.tables import table, write_json
from benchmarks.upright import impostors, refusals
from tests.support.rotation import MAX_LANDMARK_ERROR, landmark_error, rotate

_PEOPLE, _ODD_ANGLE_PEOPLE, _DETECTOR_IMAGES, _SEED = 200, 60, 40, 0
_MAX_SCORE_CHANGE = 3.0
"""Points by which the score of a rotated image may differ from that of the upright one."""
_MAX_ROLL_CHANGE = 30.0
"""Degrees of roll beyond which an upright face counts as rotated wrongly."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data" / "lfw").is_dir():
        print("rotation: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    write_json(args.json, run(Store.from_settings(load_settings().models), args.pack))


def run(store: Store, name: str) -> dict[str, Any]:
    """Measure one pack, print tables, return the numbers."""
    pack = store.pack(name)
    pipeline = Pipeline(store, pack)
    pairs = {"lfw": lfw_pairs(_PEOPLE, _SEED), "london": london_pairs()}
    images = [read(pair.rotated) for pair in pairs["lfw"][:_DETECTOR_IMAGES]]
    result: dict[str, Any] = {
        "pack": pack.name,
        "data": f"LFW development half: {_PEOPLE} people, seed {_SEED}; London: {len(pairs['london'])} photos",
        "rotated": {
            f"{data} {degrees}": rates(pipeline, pairs[data], degrees) for data in pairs for degrees in (90, 180, 270)
        },
        "every_15_degrees": {
            str(degrees): rates(pipeline, pairs["lfw"][:_ODD_ANGLE_PEOPLE], degrees) for degrees in range(0, 360, 15)
        },
        "upright": upright_rates(pipeline, sorted((SHARED / "data/lfw").glob("*/*.jpg"))),
        "without_option": refusals(pipeline),
        "impostors": impostors(pipeline),
        "milliseconds": durations(pipeline, pairs),
        "detectors": {title: detector_rates(*opened, images) for title, opened in detectors(store, pack).items()},
    }
    for title in ("rotated", "every_15_degrees", "without_option", "impostors", "milliseconds"):
        table(title.replace("_", " "), result[title])
    table("upright, with the option", {"LFW": result["upright"]})
    for title, rows in result["detectors"].items():
        table(f"detector {title}", rows)
    return result


def rates(pipeline: Pipeline, pairs: Sequence[ImagePair], degrees: float) -> dict[str, Any]:
    """Rotate one image of each pair clockwise; ``right``: detected with correct landmarks."""
    without_option = detected = right = unchanged = detections = 0
    changes, errors, failures = [], [], []
    for pair in pairs:
        upright, other = read(pair.rotated), read(pair.other)
        upright_face, other_face = pipeline.face(upright, rotate=False), pipeline.face(other, rotate=False)
        if upright_face is None or other_face is None:
            raise ValueError(f"no face in an upright image: {pair}")
        image, expected = rotate(upright, upright_face.landmarks, degrees)
        without_option += pipeline.face(image, rotate=False) is not None
        before = pipeline.detector.calls
        face = pipeline.face(image, rotate=True)
        detections += pipeline.detector.calls - before
        if face is None:
            failures.append(f"{pair.rotated.name}: not detected")
            continue
        detected += 1
        error = landmark_error(face.landmarks, expected)
        right += error <= MAX_LANDMARK_ERROR
        reference = (other, other_face)
        change = pipeline.score((image, face), reference) - pipeline.score((upright, upright_face), reference)
        unchanged += abs(change) <= _MAX_SCORE_CHANGE
        changes.append(abs(change))
        errors.append(error)
        if abs(change) > _MAX_SCORE_CHANGE and degrees % 90 == 0:
            failures.append(f"{pair.rotated.name}: {change:+.1f} points, landmark error {error:.2f}")
    count = len(pairs)
    return {
        "images": count,
        "detected_without_option": round(without_option / count, 4),
        "detected": round(detected / count, 4),
        "right": round(right / count, 4),
        "within_3_points": round(unchanged / count, 4),
        "points_median": round(median(changes), 2),
        "points_95": round(float(np.quantile(changes, 0.95)), 2),
        "landmark_error_median": round(median(errors), 3),
        "detections": round(detections / count, 2),
        "failures": failures,
    }


def upright_rates(pipeline: Pipeline, paths: Sequence[Path]) -> dict[str, Any]:
    """Detect faces of upright images with the option; landmarks that differ from those without it are wrong."""
    identical, wrong, detections = 0, [], 0
    for path in paths:
        image = read(path)
        expected = pipeline.face(image, rotate=False)
        before = pipeline.detector.calls
        face = pipeline.face(image, rotate=True)
        detections += pipeline.detector.calls - before
        if expected is None or face is None:
            wrong += [path.name] if expected is not None or face is not None else []
            continue
        identical += bool(np.array_equal(face.landmarks, expected.landmarks))
        roll_change = abs((roll(face) - roll(expected) + 180) % 360 - 180)
        if roll_change > _MAX_ROLL_CHANGE or landmark_error(face.landmarks, expected.landmarks) > MAX_LANDMARK_ERROR:
            wrong.append(path.name)
    return {
        "images": len(paths),
        "identical_landmarks": round(identical / len(paths), 5),
        "rotated_wrongly": round(len(wrong) / len(paths), 5),
        "detections": round(detections / len(paths), 3),
        "failures": wrong,
    }


def durations(pipeline: Pipeline, pairs: Mapping[str, Sequence[ImagePair]]) -> dict[str, dict[str, Any]]:
    """Return median milliseconds from decoded image to target face: 5 images, 5 runs each."""
    lfw = [read(pair.rotated) for pair in pairs["lfw"][:5]]
    london = [read(pair.rotated) for pair in pairs["london"][:5]]
    cat = np.ascontiguousarray(skimage.data.chelsea()[:250, :250, ::-1])  # type: ignore[no-untyped-call]
    without_face = {"no face, 250 x 250 (a cat)": cat, "no face, 640 x 640 (bricks)": bricks()}
    rows: dict[str, dict[str, Any]] = {}
    for title, images in {"LFW, 250 x 250": lfw, "London, 1350 x 1350": london}.items():
        for degrees in (0, 90, 270, 180, 45):
            rotated = [rotate(image, None, degrees)[0] for image in images]
            rows[f"{title}, by {degrees}"] = _with_and_without_option(pipeline, rotated)
    return rows | {title: _with_and_without_option(pipeline, [image] * 5) for title, image in without_face.items()}


def _with_and_without_option(pipeline: Pipeline, images: Sequence[Image]) -> dict[str, Any]:
    without_option, _ = _median_duration(pipeline, images, rotate=False)
    with_option, detections = _median_duration(pipeline, images, rotate=True)
    return {"without_option": without_option, "with_option": with_option, "detections": detections}


def _median_duration(pipeline: Pipeline, images: Sequence[Image], *, rotate: bool) -> tuple[float, float]:
    milliseconds = []
    pipeline.detector.calls = 0
    for image in [*images] * 5:
        started = time.perf_counter()
        pipeline.face(image, rotate=rotate)
        milliseconds.append(1000 * (time.perf_counter() - started))
    return round(median(milliseconds), 1), round(pipeline.detector.calls / len(milliseconds), 1)


def bricks() -> Image:
    """Return 640 x 640 pixels, BGR, without a face."""
    grey = cv2.resize(skimage.data.brick(), (640, 640))  # type: ignore[no-untyped-call]
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def detector_rates(detector: Detector, spec: DetectorSpec, images: Sequence[Image]) -> dict[str, dict[str, Any]]:
    """Return detection rates at each roll: of the detector alone, and of full detection without and with the option."""
    methods: dict[str, Callable[[Image], list[Face]]] = {
        "alone": detector.detect,
        "without_option": lambda image: detect_full(detector, image, spec, rotate=False),
        "with_option": lambda image: detect_full(detector, image, spec, rotate=True),
    }
    rows: dict[str, dict[str, Any]] = {}
    for degrees in range(0, 181, 15):
        row: dict[str, float | None] = {}
        rows[str(degrees)] = row
        for name, detect in methods.items():
            matches = _matches(detector, detect, images, degrees)
            best = [max(candidates, key=lambda match: match[1]) for candidates in matches if candidates]
            confident = sum(confidence >= spec.selection_confidence for _, confidence in best)
            row[f"detected_{name}"] = round(len(best) / len(images), 3)
            row[f"confident_{name}"] = round(confident / len(images), 3)
            row[f"right_{name}"] = round(sum(error <= MAX_LANDMARK_ERROR for error, _ in best) / len(images), 3)
            row[f"landmark_error_{name}"] = round(median(error for error, _ in best), 3) if best else None
    return rows


def _matches(
    detector: Detector, detect: Callable[[Image], list[Face]], images: Sequence[Image], degrees: float
) -> Iterator[list[tuple[float, float]]]:
    """Yield (landmark error, confidence) of each face near the rotated central face of each image."""
    for upright in images:
        centre = np.array([upright.shape[1], upright.shape[0]]) / 2
        central = min(detector.detect(upright), key=lambda face: float(np.hypot(*(face.landmarks[2] - centre))))
        image, expected = rotate(upright, central.landmarks, degrees)
        max_distance = float(np.hypot(*(expected[1] - expected[0])))
        yield [
            (landmark_error(face.landmarks, expected), face.confidence)
            for face in detect(image)
            if np.hypot(*(face.landmarks.mean(axis=0) - expected.mean(axis=0))) < max_distance
        ]


if __name__ == "__main__":
    main()
