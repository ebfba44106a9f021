"""Memory of a service over many requests: its peak, and whether it grows.

Resident memory is read after every batch of requests; the slope is that of the least squares, with its 95 % interval,
over the second half, since allocators fill up first. The baseline is asked the same. ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np
from scipy import stats

from app.tools.bench.load import sustain
from benchmarks.subjects import BASELINE, SHARED, Subject, pictures, running_subjects
from benchmarks.tables import table

_CALLERS = 8
_BATCH_S = 5.0
_BLOCKS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("memory: skipped, the folder ../shared is not here")
        return
    with running_subjects([BASELINE, args.pack]) as running:
        rows = {args.pack: grown(running[args.pack], args.requests), BASELINE: grown(running[BASELINE], 200)}
    table("memory, MiB", rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def grown(subject: Subject, requests: int) -> dict[str, object]:
    """Send ``requests``, small and large pictures in turn; return peak and growth."""
    counts, resident, files = [0], [subject.resident_mib], list(pictures().values())
    while counts[-1] < requests:
        load = asyncio.run(sustain(subject.target(files[len(counts) % len(files)]), _CALLERS, _BATCH_S))
        counts.append(counts[-1] + load.codes["OK"])
        resident.append(subject.resident_mib)
    half = len(counts) // 2
    slope, interval = trend(np.array(counts[half:], float) / 1000, np.array(resident[half:]))
    return {
        "requests": counts[-1],
        "peak": round(subject.peak_mib),
        "after_first_batch": round(resident[1]),
        "at_end": round(resident[-1]),
        "per_1000_requests": round(slope, 3),
        "95_%": [round(end, 3) for end in interval],
    }


def trend(x: np.ndarray, y: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the slope of ``y`` over ``x`` and its 95 % interval, both of means of neighbours."""
    count = min(_BLOCKS, len(x))
    if count < 3:  # noqa: PLR2004 - no line has an error with less
        return float("nan"), (float("nan"), float("nan"))
    means = [[float(part.mean()) for part in np.array_split(values, count)] for values in (x, y)]
    line = stats.linregress(*means)
    reach = stats.t.ppf(0.975, count - 2) * line.stderr
    return float(line.slope), (float(line.slope - reach), float(line.slope + reach))


if __name__ == "__main__":
    main()
