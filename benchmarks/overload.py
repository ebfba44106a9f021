"""A service at four times its capacity: what callers see who are served, and who are not.

Capacity is what eight callers get who ask without a pause; unloaded is one request at a time. The load comes by the
clock. The first seconds, in which a burst would still be served in turn, are told apart from what follows.
``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.settings import LimitsSettings
from app.tools.bench.load import Load, arrive, sustain
from benchmarks.subjects import SHARED, Subject, pictures, running_subjects
from benchmarks.tables import table, three

_TIMES = 4
_CALLERS = 8
_MEASURED_S = 8.0
_SETTLING_S = 3.0
"""Seconds after the longest wait until the line has been sent away."""
_REFUSED = "RequestLimitExceeded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("overload: skipped, the folder ../shared is not here")
        return
    files = pictures()["LFW, 250 px"]
    with running_subjects([args.pack]) as running:
        rounds = [_round(running[args.pack], files, args.seconds) for _ in range(args.rounds)]
    rows = {name: three([one[name] for one in rounds], 3) for name in rounds[0]}
    table("", {name: dict(zip(("min", "median", "max"), row, strict=True)) for name, row in rows.items()})
    if args.json:
        args.json.write_text(json.dumps({"pack": args.pack, "rounds": args.rounds, **rows}, indent=1) + "\n", "utf-8")


def _round(subject: Subject, files: Sequence[bytes], seconds: float) -> Mapping[str, float]:
    burst = LimitsSettings().max_wait_s + _SETTLING_S
    alone = asyncio.run(sustain(subject.target(files), 1, _MEASURED_S))
    capacity = asyncio.run(sustain(subject.target(files), _CALLERS, _MEASURED_S)).per_second()
    flood = asyncio.run(arrive(subject.target(files), _TIMES * capacity, burst + seconds))
    if set(flood.codes) - {"OK", _REFUSED}:
        raise RuntimeError(f"answers that nobody should get: {flood.codes}")
    return {"capacity_per_second": capacity, **_told(flood.after(burst), alone, capacity)}


def _told(flood: Load, alone: Load, capacity: float) -> Mapping[str, float]:
    (unloaded,), (served,) = alone.milliseconds(0.99), flood.milliseconds(0.99)
    refused = flood.milliseconds(0.5, 0.99, code=_REFUSED)
    return {
        "unloaded_p99_ms": unloaded,
        "served_p99_ms": served,
        "served_p99_of_unloaded": served / unloaded,
        "served_of_capacity": flood.per_second() / capacity,
        "refused_per_second": flood.per_second(_REFUSED),
        "refused_median_ms": refused[0],
        "refused_p99_ms": refused[1],
    }


if __name__ == "__main__":
    main()
