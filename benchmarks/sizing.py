"""What one core serves: comparisons per second, memory and cold start of each installed pack.

``python -m benchmarks.sizing [--json FILE]``. The service has one core, its callers another. Every round starts the
service again. The cold start ends at the first ready ``/readyz``, with files in the page cache. Memory is that of all
processes, once ready and at most while eight callers send requests without pause.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.tools.bench.load import run_closed_loop
from benchmarks.subjects import SHARED, Subject, image_sets, subjects
from benchmarks.tables import min_median_max, table
from tests.support.server import running_server

_CALLERS = 8
_WARM_UP_S, _MEASURED_S = 1.0, 8.0
_SERVICE_CORE, *_CALLERS_CORES = sorted(os.sched_getaffinity(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir() or not _CALLERS_CORES:
        print("sizing: skipped, ../shared or a second core is missing")
        return
    os.sched_setaffinity(0, _CALLERS_CORES)
    rounds: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    packs = subjects()[2:]
    for _ in range(args.rounds):
        for pack in packs:
            rounds[pack].append(_round(pack, image_sets()))
    rows = {
        pack: {name: min_median_max([row[name] for row in measured]) for name in measured[0]}
        for pack, measured in rounds.items()
    }
    table("one core; minimum, median, maximum", rows)
    if args.json:
        args.json.write_text(json.dumps({"rounds": args.rounds, "packs": rows}, indent=1) + "\n", "utf-8")


def _round(pack: str, sets: Mapping[str, Sequence[bytes]]) -> Mapping[str, float]:
    started = time.perf_counter()
    pinned = f"taskset -p -c {_SERVICE_CORE} $$ >/dev/null"
    with running_server({"COMPAREFACE_MODELS__PACK": pack}, first=pinned) as server:
        measured = {"cold_start_s": time.perf_counter() - started}
        subject = Subject(server.port, server.process.pid, server)
        measured["ready_mib"] = subject.resident_mib
        for name, files in sets.items():
            asyncio.run(run_closed_loop(subject.target(files), _CALLERS, _WARM_UP_S))
            load = asyncio.run(run_closed_loop(subject.target(files), _CALLERS, _MEASURED_S))
            if set(load.codes) != {"OK"}:
                raise RuntimeError(f"not every request was successful: {load.codes}")
            measured[f"per_second, {name}"] = load.per_second()
        return {**measured, "peak_mib": subject.peak_mib}


if __name__ == "__main__":
    main()
