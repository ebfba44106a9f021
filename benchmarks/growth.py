"""How the cost of a comparison grows: with the size of the photo, the faces in it, and the callers at once.

Photos are one face enlarged, or collages of LFW's faces; both pictures of a comparison are alike. The baseline is asked
the same. ``--json FILE`` keeps the numbers, ``--plot FILE.png`` draws them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np

from app.domain import Image
from app.imaging.decode import decode
from app.tools.bench.load import Load, sustain
from benchmarks.subjects import BASELINE, SHARED, Subject, pictures, running_subjects
from benchmarks.tables import table
from tests.support.images import jpeg

mpl.use("agg")
from matplotlib import pyplot as plt

_SIDES = (250, 500, 1000, 2000, 4000)
_FACES = (1, 4, 9, 25, 49, 100)
_CALLERS = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = 4.0
_HEAD = 200

_Rows = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("growth: skipped, the folder ../shared is not here")
        return
    with running_subjects([BASELINE, args.pack]) as running:
        found = run(running)
    for title, rows in found.items():
        table(title, rows)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if args.plot:
        plot(found, args.plot)


def run(running: Mapping[str, Subject]) -> dict[str, _Rows]:
    """Measure all services; return milliseconds of one caller, and comparisons per second of several."""
    heads = [decode(data)[25:225, 25:225] for data in pictures()["LFW, 250 px"]]
    files = pictures()["LFW, 250 px"]
    return {
        "megapixels": _each(
            running, {f"{side * side / 1e6:g}": [_enlarged(heads[0], side)] * 2 for side in _SIDES}, _milliseconds
        ),
        "faces": _each(running, {f"{count}": [_crowd(heads, count)] * 2 for count in _FACES}, _milliseconds),
        "callers": {
            f"{callers}": {
                name: round(asyncio.run(sustain(subject.target(files), callers, _SECONDS)).per_second(), 1)
                for name, subject in running.items()
            }
            for callers in _CALLERS
        },
    }


def _each(running: Mapping[str, Subject], sets: Mapping[str, Sequence[bytes]], told: Callable[[Load], float]) -> _Rows:
    return {
        title: {
            name: told(asyncio.run(sustain(subject.target(files), 1, _SECONDS))) for name, subject in running.items()
        }
        for title, files in sets.items()
    }


def _milliseconds(load: Load) -> float:
    return round(load.milliseconds(0.5)[0], 1)


def _enlarged(image: Image, side: int) -> bytes:
    return jpeg(np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8), 85)


def _crowd(heads: Sequence[Image], count: int) -> bytes:
    """``count`` people of one size, as many in a row as in a column."""
    rows = round(count**0.5)
    canvas = np.zeros((rows * _HEAD, rows * _HEAD, 3), np.uint8)
    for place in range(count):
        top, left = place // rows * _HEAD, place % rows * _HEAD
        canvas[top : top + _HEAD, left : left + _HEAD] = heads[place % len(heads)]
    return jpeg(canvas)


def plot(found: Mapping[str, _Rows], file: Path) -> None:
    """Draw the three tables side by side."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    labels = {
        "megapixels": ("megapixels of each photo", "milliseconds"),
        "faces": ("faces in each photo", "milliseconds"),
        "callers": ("callers at once", "comparisons per second"),
    }
    for axis, (title, rows) in zip(axes, found.items(), strict=True):
        for name in next(iter(rows.values())):
            axis.plot([float(x) for x in rows], [row[name] for row in rows.values()], marker="o", label=name)
        axis.set(xlabel=labels[title][0], ylabel=labels[title][1], xscale="log", yscale="log")
        axis.grid(visible=True, which="both", alpha=0.3)
        axis.legend()
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    main()
