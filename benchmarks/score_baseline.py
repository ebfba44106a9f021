"""Record the scores of a fixed set of image pairs, or compare the current scores with it.

A refactoring must not move a score. The set has 300 pairs of LFW, 40 pairs whose first image is rotated, and 20 pairs
of large photos (London, 1350 x 1350). The scores come from the engine that serves requests, decoder processes
included.

    python -m benchmarks.score_baseline omz omz-float32 open open-float32 --write
    python -m benchmarks.score_baseline omz omz-float32 open open-float32

The second call prints the largest change of each configuration and exits with 1 where one exceeds ``MAX_CHANGE``. Needs
``../shared`` and the weights of the packs.
"""

import argparse
import asyncio
import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from app.domain import CompareOptions, Image, ImageRef
from app.engine import Engine
from app.environment import load_settings
from app.errors import ApiError
from app.ops.stage_timer import StageTimer
from benchmarks import SHARED

RESULTS = Path(__file__).parent / "results/scores.json"
CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "omz": {"COMPAREFACE_MODELS__PACK": "omz"},
    "omz-float32": {"COMPAREFACE_MODELS__PACK": "omz", "COMPAREFACE_RUNTIME__INT8": "false"},
    "open": {"COMPAREFACE_MODELS__PACK": "open"},
    "open-float32": {"COMPAREFACE_MODELS__PACK": "open", "COMPAREFACE_RUNTIME__INT8": "false"},
}
MAX_CHANGE = 0.01
"""Points of the score."""
_DEGREES = (90, 180, 270, 45, -30)
_DEADLINE_S = 60.0

Result: TypeAlias = float | str
"""A score, or the code of an error."""


class Case(NamedTuple):
    """Two encoded images and the options of the request."""

    name: str
    a: bytes
    b: bytes
    options: CompareOptions


def cases() -> Iterator[Case]:
    """Yield the 360 pairs, always in the same order."""
    yield from _lfw(300)
    yield from _rotated(40)
    yield from _large(20)


def _lfw(count: int) -> Iterator[Case]:
    lines = [line.split("\t") for line in (SHARED / "data/lfw_pairs.txt").read_text().splitlines()]
    for fields in lines[:: len(lines) // count][:count]:
        a, first, *other, second = fields
        b = other[0] if other else a
        paths = [SHARED / f"data/lfw/{name}/{name}_{int(number):04d}.jpg" for name, number in ((a, first), (b, second))]
        yield Case(
            f"lfw {paths[0].stem} {paths[1].stem}", paths[0].read_bytes(), paths[1].read_bytes(), CompareOptions()
        )


def _rotated(count: int) -> Iterator[Case]:
    people = [folder for folder in sorted((SHARED / "data/lfw").iterdir()) if len(list(folder.glob("*.jpg"))) > 1]
    for number, folder in enumerate(people[:: len(people) // count][:count]):
        first, second = sorted(folder.glob("*.jpg"))[:2]
        degrees = _DEGREES[number % len(_DEGREES)]
        image = np.asarray(cv2.imread(str(first)), dtype=np.uint8)
        encoded = cv2.imencode(".png", _rotate(image, degrees))[1].tobytes()
        yield Case(f"rotated {degrees} {first.stem}", encoded, second.read_bytes(), CompareOptions(rotate=True))


def _large(count: int) -> Iterator[Case]:
    photos = sorted((SHARED / "data/london").glob("*/*.jpg"))[:count]
    for a, b in zip(photos, [*photos[1:], photos[0]], strict=True):
        name = f"large {a.parent.name}/{a.stem} {b.parent.name}/{b.stem}"
        yield Case(
            name, a.read_bytes(), b.read_bytes(), CompareOptions(quality_control=1 if a.stem == "smiling" else 0)
        )


def _rotate(image: Image, degrees: float) -> Image:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    side = max(height, width) if degrees % 90 == 0 else int(np.ceil(np.hypot(height, width)))
    matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
    return np.asarray(cv2.warpAffine(image, matrix, (side, side)), dtype=np.uint8)


async def scores(name: str) -> dict[str, Result]:
    """Return the result of every case in the configuration ``name``."""
    os.environ.update(CONFIGURATIONS[name])
    async with Engine.open(load_settings()) as engine:
        results: dict[str, Result] = {}
        for case in cases():
            a, b = (ImageRef(base64.b64encode(data).decode()) for data in (case.a, case.b))
            try:
                comparison = await engine.services.compare(a, b, case.options, StageTimer.after(_DEADLINE_S))
            except ApiError as error:
                results[case.name] = error.code.value
            else:
                results[case.name] = round(comparison.score, 4)
        return results


def differences(recorded: Mapping[str, Result], current: Mapping[str, Result]) -> dict[str, tuple[Result, Result]]:
    """Return the cases whose error code changed, or whose score changed by more than ``MAX_CHANGE``."""
    return {name: (old, current[name]) for name, old in recorded.items() if change(old, current[name]) > MAX_CHANGE}


def change(old: Result, new: Result) -> float:
    """Return the change of a score in points; infinity if an error code changed."""
    if isinstance(old, str) or isinstance(new, str):
        return 0.0 if old == new else float("inf")
    return abs(old - new)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configurations", nargs="+", choices=CONFIGURATIONS)
    parser.add_argument("--write", action="store_true", help="record the current scores")
    args = parser.parse_args()
    current = {name: asyncio.run(scores(name)) for name in args.configurations}
    if args.write:
        RESULTS.write_text(json.dumps(current, indent=1) + "\n", encoding="utf-8")
        return 0
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    is_unchanged = True
    for name, results in current.items():
        largest = max(change(old, results[case]) for case, old in recorded[name].items())
        print(f"{name}: {len(results)} pairs, largest change {largest:g}")
        for case, (old, new) in differences(recorded[name], results).items():
            is_unchanged = False
            print(f"  {case}: {old} -> {new}")
    return 0 if is_unchanged else 1


if __name__ == "__main__":
    sys.exit(main())
