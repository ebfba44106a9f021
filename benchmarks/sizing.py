"""What one core serves, and what it costs: comparisons per second, memory and cold start of each pack that is here.

``python -m benchmarks.sizing [--json FILE]``. The service has one core to itself and its callers another. Every round
starts it anew: from the start of the process to the first ``/readyz`` that says yes, its files being in the page cache;
memory once ready, and the most while eight callers ask without a pause. Memory is that of all its processes.
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

from app.tools.bench.load import sustain
from benchmarks.subjects import SHARED, Subject, pictures, subjects
from benchmarks.tables import table, three
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
        print("sizing: skipped, the folder ../shared or a second core is not here")
        return
    os.sched_setaffinity(0, _CALLERS_CORES)
    rounds: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    packs = subjects()[2:]
    for _ in range(args.rounds):
        for pack in packs:
            rounds[pack].append(_round(pack, pictures()))
    rows = {pack: {name: three([each[name] for each in taken]) for name in taken[0]} for pack, taken in rounds.items()}
    table("one core; least, median, most", rows)
    if args.json:
        args.json.write_text(json.dumps({"rounds": args.rounds, "packs": rows}, indent=1) + "\n", "utf-8")


def _round(pack: str, sets: Mapping[str, Sequence[bytes]]) -> Mapping[str, float]:
    started = time.perf_counter()
    pinned = f"taskset -p -c {_SERVICE_CORE} $$ >/dev/null"
    with running_server({"COMPAREFACE_MODELS__PACK": pack}, first=pinned) as server:
        taken = {"cold_start_s": time.perf_counter() - started}
        subject = Subject(server.port, server.process.pid, server)
        taken["ready_mib"] = subject.resident_mib
        for name, files in sets.items():
            asyncio.run(sustain(subject.target(files), _CALLERS, _WARM_UP_S))
            load = asyncio.run(sustain(subject.target(files), _CALLERS, _MEASURED_S))
            if set(load.codes) != {"OK"}:
                raise RuntimeError(f"not every request was answered: {load.codes}")
            taken[f"per_second, {name}"] = load.per_second()
        return {**taken, "peak_mib": subject.peak_mib}


if __name__ == "__main__":
    main()
