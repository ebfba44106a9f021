"""Comparisons per second of a service by its number of server processes, with networks replaced by recorded outputs.

So only Python works for a request. That limits a process with many cores, because Python runs one thread
at a time. The client runs on the same machine, so its CPU time is stated. ``--networks`` runs the networks.
"""

import argparse
import asyncio
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

import app.engine
from app.cli import main as compareface
from app.runtime.session import OrtSession, Tensor
from app.runtime.worker_pool import available_cores
from app.tools.bench.load import run_closed_loop
from benchmarks import SHARED
from benchmarks.services import MeasuredService, image_sets
from benchmarks.tables import min_median_max, table, write_json
from tests.support.processes import cpu_seconds, process_tree
from tests.support.server import running_server

_CALLERS_PER_CORE = 4
_WARM_UP_S, _MEASURED_S = 3.0, 4.0
_PROCESSES = (1, 2, 4, 8, 16)


class RecordedSession:
    """A session that runs each input once, and then returns its recorded outputs."""

    def __init__(self, session: OrtSession) -> None:
        self._session = session
        self._outputs: dict[tuple[tuple[int, ...], int], list[Tensor]] = {}

    @classmethod
    def open(cls, path: Path, device: str, intra_op_threads: int) -> Self:
        return cls(OrtSession.open(path, device, intra_op_threads))

    @property
    def placement(self) -> dict[str, int]:
        return self._session.placement

    def run(self, batch: Tensor) -> list[Tensor]:
        key = batch.shape, zlib.crc32(np.ascontiguousarray(batch).data)
        if key not in self._outputs:
            self._outputs[key] = self._session.run(batch)
        return self._outputs[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--networks", action="store_true", help="run the networks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("scaling: skipped, ../shared does not exist")
        return
    files = image_sets()["LFW, 250 px"]
    program = "-m app" if args.networks else "-m benchmarks.scaling"
    counts = [count for count in _PROCESSES if count <= available_cores()]
    rows = {str(count): _measure(args.pack, program, count, files, args.rounds) for count in counts}
    table("processes", rows)
    write_json(args.json, {"pack": args.pack, "networks": args.networks, "cores": available_cores(), "rows": rows})


def _measure(pack: str, program: str, processes: int, files: Sequence[bytes], rounds: int) -> Mapping[str, object]:
    """Measure a service with one number of processes."""
    settings = {"COMPAREFACE_MODELS__PACK": pack, "COMPAREFACE_SERVER__WORKERS": str(processes)}
    callers = _CALLERS_PER_CORE * available_cores()
    with running_server(settings, program=program) as server:
        service = MeasuredService(server.port, server.process.pid, server)
        target = service.target(files)
        asyncio.run(run_closed_loop(target, callers, _WARM_UP_S))
        measured = []
        for _ in range(rounds):
            server_before, client_before = _cpu_s(service.pid), time.process_time()
            load = asyncio.run(run_closed_loop(target, callers, _MEASURED_S))
            if set(load.codes) != {"OK"}:
                raise RuntimeError(f"not every request was successful: {load.codes}")
            answered = len(load.answers)
            measured.append(
                {
                    "per_second": load.per_second(),
                    "p50_ms": load.milliseconds(0.5)[0],
                    "p99_ms": load.milliseconds(0.99)[0],
                    "server_cpu_ms": 1000 * (_cpu_s(service.pid) - server_before) / answered,
                    "client_cpu_ms": 1000 * (time.process_time() - client_before) / answered,
                }
            )
        memory = round(service.resident_mib)
    return {**{name: min_median_max([row[name] for row in measured], 2) for name in measured[0]}, "memory_mib": memory}


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    return sum(map(cpu_seconds, process_tree(pid)))


if sys.argv[1:] == ["serve"] or __name__ == "__mp_main__":
    app.engine.OrtSession = RecordedSession  # type: ignore[attr-defined, assignment]

if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        sys.exit(compareface(["serve"]))
    main()
