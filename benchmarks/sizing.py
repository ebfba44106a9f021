"""Comparisons per second, memory and cold start of a service on one core, for each installed pack.

``python -m benchmarks.sizing [--json FILE]``. The service has one core, the callers use the others. Every round starts
the service again. The cold start ends when ``/readyz`` reports ready; the files are in the page cache. Memory is the
sum over all processes, measured when ready (``ready_mib``) and as the peak under eight callers (``peak_mib``).
"""

import argparse
import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.tools.bench.load import run_closed_loop
from benchmarks import SHARED
from benchmarks.services import MeasuredService, image_sets, service_names
from benchmarks.tables import min_median_max, table, write_json
from tests.support.server import running_server

_CALLERS = 8
_WARM_UP_S, _MEASURED_S = 1.0, 8.0
_SERVICE_CORE, *_CALLER_CORES = sorted(os.sched_getaffinity(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir() or not _CALLER_CORES:
        print("sizing: skipped, ../shared or a second core is missing")
        return
    os.sched_setaffinity(0, _CALLER_CORES)
    rounds: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    packs = service_names()[2:]
    for _ in range(args.rounds):
        for pack in packs:
            rounds[pack].append(_round(pack, image_sets()))
    rows = {
        pack: {name: min_median_max([row[name] for row in measured]) for name in measured[0]}
        for pack, measured in rounds.items()
    }
    table("one core; minimum, median, maximum", rows)
    write_json(args.json, {"rounds": args.rounds, "packs": rows})


def _round(pack: str, sets: Mapping[str, Sequence[bytes]]) -> Mapping[str, float]:
    started = time.perf_counter()
    pinned = f"taskset -p -c {_SERVICE_CORE} $$ >/dev/null"
    with running_server({"COMPAREFACE_MODELS__PACK": pack}, first=pinned) as server:
        measured = {"cold_start_s": time.perf_counter() - started}
        service = MeasuredService(server.port, server.process.pid, server)
        measured["ready_mib"] = service.resident_mib
        for name, files in sets.items():
            asyncio.run(run_closed_loop(service.target(files), _CALLERS, _WARM_UP_S))
            load = asyncio.run(run_closed_loop(service.target(files), _CALLERS, _MEASURED_S))
            if set(load.codes) != {"OK"}:
                raise RuntimeError(f"not every request was successful: {load.codes}")
            measured[f"per_second, {name}"] = load.per_second()
        return {**measured, "peak_mib": service.peak_mib}


if __name__ == "__main__":
    main()
