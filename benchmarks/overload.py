"""A service at four times its capacity: latency of accepted requests, and rejections.

Capacity is the rate of eight callers without pause. The unloaded service gets one request at a time. The load arrives
at a fixed rate. The first seconds are left out, because the queue still accepts the load as a burst.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.settings import LimitsSettings
from app.tools.bench.load import LoadResult, run_closed_loop, run_open_loop
from benchmarks import SHARED
from benchmarks.services import MeasuredService, image_sets, running_services
from benchmarks.tables import min_median_max, table, write_json

_LOAD_FACTOR = 4
_CALLERS = 8
_MEASURED_S = 8.0
_SETTLING_S = 3.0
"""Seconds after ``max_wait_s`` until the service has rejected the queued requests."""
_REJECTED = "RequestLimitExceeded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("overload: skipped, ../shared does not exist")
        return
    files = image_sets()["LFW, 250 px"]
    with running_services([args.pack]) as running:
        rounds = [_round(running[args.pack], files, args.seconds) for _ in range(args.rounds)]
    rows = {name: min_median_max([row[name] for row in rounds], 3) for name in rounds[0]}
    table("", {name: dict(zip(("min", "median", "max"), row, strict=True)) for name, row in rows.items()})
    write_json(args.json, {"pack": args.pack, "rounds": args.rounds, **rows})


def _round(subject: MeasuredService, files: Sequence[bytes], seconds: float) -> Mapping[str, float]:
    burst = LimitsSettings().max_wait_s + _SETTLING_S
    single = asyncio.run(run_closed_loop(subject.target(files), 1, _MEASURED_S))
    capacity = asyncio.run(run_closed_loop(subject.target(files), _CALLERS, _MEASURED_S)).per_second()
    flood = asyncio.run(run_open_loop(subject.target(files), _LOAD_FACTOR * capacity, burst + seconds))
    if set(flood.codes) - {"OK", _REJECTED}:
        raise RuntimeError(f"unexpected replies: {flood.codes}")
    return {"capacity_per_second": capacity, **_summary(flood.skip(burst), single, capacity)}


def _summary(flood: LoadResult, single: LoadResult, capacity: float) -> Mapping[str, float]:
    (unloaded,), (accepted,) = single.milliseconds(0.99), flood.milliseconds(0.99)
    rejected = flood.milliseconds(0.5, 0.99, code=_REJECTED)
    return {
        "unloaded_p99_ms": unloaded,
        "accepted_p99_ms": accepted,
        "accepted_p99_of_unloaded": accepted / unloaded,
        "accepted_of_capacity": flood.per_second() / capacity,
        "rejected_per_second": flood.per_second(_REJECTED),
        "rejected_median_ms": rejected[0],
        "rejected_p99_ms": rejected[1],
    }


if __name__ == "__main__":
    main()
