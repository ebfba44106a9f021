"""Turned pictures without EXIF (``NeedRotateDetection``): found or not, the score, the cost; for one pack.

``python -m benchmarks.rotation [PACK] [--json FILE]`` on ``../shared/data``. Each of 200 people of LFW's development
half lends a picture that is turned and one that stays, each person of ``london`` both. A quarter turn is exact; other
turns are interpolated, on black. Then every picture of that half as it is, with the flag: does it stay upright? The
other detectors of ``../shared/models`` that are there are asked only what angles they stand. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data

from app.domain import Image
from app.environment import load_settings
from app.packs.store import Store
from app.vision.rotation import roll
from benchmarks.rotation_reach import detectors, reach
from benchmarks.tables import table
from tests.support.rotation import NEAR, SHARED, Couple, Pipeline, error, lfw_couples, london_couples, read, turned

_PEOPLE, _ODD, _RANGE, _SEED = 200, 60, 40, 0
_POINTS = 3.0
"""Score points by which a turned picture may differ from the upright one."""
_ASTRAY = 30.0
"""Degrees of roll by which a face must differ from the same face upright to count as turned wrongly."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data" / "lfw").is_dir():
        print("rotation: skipped, the folder ../shared/data/lfw is not here")
        return
    cv2.setNumThreads(1)
    result = run(Store.of(load_settings().models), args.pack)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(store: Store, name: str) -> dict[str, Any]:
    """Measure one pack, print tables, return the numbers."""
    pack = store.pack(name)
    pipeline = Pipeline(store, pack)
    people = {"lfw": lfw_couples(_PEOPLE, _SEED), "london": london_couples()}
    some = [read(couple.turned) for couple in people["lfw"][:_RANGE]]
    turns = {
        f"{data} {degrees}": shares(pipeline, people[data], degrees) for data in people for degrees in (90, 180, 270)
    }
    odd = {str(degrees): shares(pipeline, people["lfw"][:_ODD], degrees) for degrees in range(0, 360, 15)}
    result = {
        "pack": pack.name,
        "data": f"LFW development half: {_PEOPLE} people, seed {_SEED}; London: {len(people['london'])} pictures",
        "turned": turns,
        "every_15_degrees": odd,
        "upright": upright(pipeline, sorted((SHARED / "data/lfw").glob("*/*.jpg"))),
        "milliseconds": cost(pipeline, people),
        "detectors": {title: reach(*opened, some) for title, opened in detectors(store, pack).items()},
    }
    for title in ("turned", "every_15_degrees", "milliseconds"):
        table(title.replace("_", " "), result[title])  # type: ignore[arg-type]
    table("upright, with the flag", {"LFW": result["upright"]})  # type: ignore[dict-item]
    for title, rows in result["detectors"].items():  # type: ignore[attr-defined]
        table(f"detector {title}", rows)
    return result


def shares(pipeline: Pipeline, couples: Sequence[Couple], degrees: float) -> dict[str, Any]:
    """Rotation one picture of each couple clockwise; ``right``: found with the landmarks where they belong."""
    plain = found = right = within = 0
    differences, errors, detections, bad = [], [], 0, []
    for couple in couples:
        upright, other = read(couple.turned), read(couple.other)
        as_it_is, opposite = pipeline.face(upright, rotate=False), pipeline.face(other, rotate=False)
        if as_it_is is None or opposite is None:
            raise ValueError(f"no face upright: {couple}")
        image, expected = turned(upright, as_it_is.landmarks, degrees)
        plain += pipeline.face(image, rotate=False) is not None
        before = pipeline.detector.count
        face = pipeline.face(image, rotate=True)
        detections += pipeline.detector.count - before
        if face is None:
            bad.append(f"{couple.turned.name}: not found")
            continue
        found += 1
        off = error(face.landmarks, expected)
        right += off <= NEAR
        beside = (other, opposite)
        difference = pipeline.score((image, face), beside) - pipeline.score((upright, as_it_is), beside)
        within += abs(difference) <= _POINTS
        differences.append(abs(difference))
        errors.append(off)
        if abs(difference) > _POINTS and degrees % 90 == 0:
            bad.append(f"{couple.turned.name}: {difference:+.1f} points, landmarks {off:.2f}")
    number = len(couples)
    return {
        "pictures": number,
        "found_without_flag": round(plain / number, 4),
        "found": round(found / number, 4),
        "right": round(right / number, 4),
        "within_3_points": round(within / number, 4),
        "points_median": round(median(differences), 2),
        "points_95": round(float(np.quantile(differences, 0.95)), 2),
        "landmarks_median": round(median(errors), 3),
        "detections": round(detections / number, 2),
        "bad": bad,
    }


def upright(pipeline: Pipeline, paths: Sequence[Path]) -> dict[str, Any]:
    """Look at pictures as they are with the flag: ``wrong``: another face, or one that leans otherwise."""
    same, wrong = 0, []
    detections = 0
    for path in paths:
        image = read(path)
        expected = pipeline.face(image, rotate=False)
        before = pipeline.detector.count
        face = pipeline.face(image, rotate=True)
        detections += pipeline.detector.count - before
        if expected is None or face is None:
            wrong += [path.name] if expected is not None or face is not None else []
            continue
        same += bool(np.array_equal(face.landmarks, expected.landmarks))
        leans = abs((roll(face) - roll(expected) + 180) % 360 - 180)
        if leans > _ASTRAY or error(face.landmarks, expected.landmarks) > NEAR:
            wrong.append(path.name)
    return {
        "pictures": len(paths),
        "same_to_the_pixel": round(same / len(paths), 5),
        "turned_wrongly": round(len(wrong) / len(paths), 5),
        "detections": round(detections / len(paths), 3),
        "bad": wrong,
    }


def cost(pipeline: Pipeline, people: Mapping[str, Sequence[Couple]]) -> dict[str, dict[str, Any]]:
    """Median milliseconds from a picture to the face to compare, over 5 pictures, 5 times each."""
    lfw = [read(couple.turned) for couple in people["lfw"][:5]]
    london = [read(couple.turned) for couple in people["london"][:5]]
    cat = np.ascontiguousarray(skimage.data.chelsea()[:250, :250, ::-1])  # type: ignore[no-untyped-call]
    bare = {"no face, 250 x 250 (a cat)": cat, "no face, 640 x 640 (bricks)": bricks()}
    rows: dict[str, dict[str, Any]] = {}
    for title, pictures in {"LFW, 250 x 250": lfw, "London, 1350 x 1350": london}.items():
        for degrees in (0, 90, 270, 180, 45):
            rows[f"{title}, by {degrees}"] = _both(pipeline, [turned(image, None, degrees)[0] for image in pictures])
    return rows | {title: _both(pipeline, [image] * 5) for title, image in bare.items()}


def _both(pipeline: Pipeline, pictures: Sequence[Image]) -> dict[str, Any]:
    without, _ = _timed(pipeline, pictures, rotate=False)
    with_flag, detections = _timed(pipeline, pictures, rotate=True)
    return {"without_flag": without, "with_flag": with_flag, "detections": detections}


def _timed(pipeline: Pipeline, pictures: Sequence[Image], *, rotate: bool) -> tuple[float, float]:
    spent = []
    pipeline.detector.count = 0
    for image in [*pictures] * 5:
        started = time.perf_counter()
        pipeline.face(image, rotate=rotate)
        spent.append(1000 * (time.perf_counter() - started))
    return round(median(spent), 1), round(pipeline.detector.count / len(spent), 1)


def bricks() -> Image:
    """640 x 640, BGR: nobody."""
    grey = cv2.resize(skimage.data.brick(), (640, 640))  # type: ignore[no-untyped-call]
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


if __name__ == "__main__":
    main()
