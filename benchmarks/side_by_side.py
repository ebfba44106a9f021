"""Ours against what people build by hand, in one run: the same weights, pictures and machine, all over HTTP.

Every round asks each service in turn: one caller (latency), then eight (throughput). Ratios are of one round.
A ``limit`` is what two pictures take, one after the other and one thread, if their ``session.run`` calls are all there
is, and if decoding them comes to it; a ``ceiling`` is the comparisons per second that a process per core makes if it
does nothing else, all at once.
``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from app.environment import load_settings
from app.packs.store import Store
from app.runtime.worker_pool import available_cores
from app.tools.bench.load import sustain
from app.tools.bench.stages import StageBenchmark
from benchmarks.subjects import BASELINE, SHARED, STANDIN, Subject, pictures, running_subjects, subjects
from benchmarks.tables import table, three
from tests.support import standin

_CALLERS = 8
_LATENCY_S, _THROUGHPUT_S, _WARM_UP_S = 3.0, 4.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("side by side: skipped, the folder ../shared is not here")
        return
    result = run(args.rounds)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(rounds: int) -> dict[str, object]:
    """Measure all services, print tables, return the numbers."""
    names, sets = subjects(), pictures()
    taken: dict[str, dict[str, list[dict[str, float]]]] = {title: {name: [] for name in names} for title in sets}
    with running_subjects(names) as running:
        for title, files in sets.items():
            for subject in running.values():
                asyncio.run(sustain(subject.target(files), _CALLERS, _WARM_UP_S))
            for _ in range(rounds):
                for name, subject in running.items():
                    taken[title][name].append(_ask(subject, files))
        peaks = {name: round(subject.peak_mib) for name, subject in running.items()}
    limits = {title: {name: limit(name, files) for name in names[1:]} for title, files in sets.items()}
    ceilings = {title: {name: ceiling(name, files) for name in names[1:]} for title, files in sets.items()}
    result = {title: _rows(taken[title], limits[title], ceilings[title]) for title in sets}
    for title, rows in result.items():
        table(title, rows)
    print("\npeak memory, MiB:", peaks)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "rounds": rounds,
        "callers": _CALLERS,
        "peak_mib": peaks,
        "sets": result,
    }


def _ask(subject: Subject, files: Sequence[bytes]) -> dict[str, float]:
    target = subject.target(files)
    alone = asyncio.run(sustain(target, 1, _LATENCY_S))
    crowd = asyncio.run(sustain(target, _CALLERS, _THROUGHPUT_S))
    for load_of in (alone, crowd):
        if set(load_of.codes) != {"OK"}:
            raise RuntimeError(f"not every request was answered: {load_of.codes}")
    return {"ms": alone.milliseconds(0.5)[0], "per_second": crowd.per_second()}


def _rows(
    taken: Mapping[str, list[dict[str, float]]],
    limits: Mapping[str, tuple[float, float]],
    ceilings: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, object]]:
    base = taken[BASELINE]
    rows: dict[str, dict[str, object]] = {}
    for name, rounds in taken.items():
        times = [each["ms"] for each in rounds]
        rows[name] = {
            "ms": three(times),
            "of_baseline": three([each["ms"] / other["ms"] for each, other in zip(rounds, base, strict=True)], 3),
            "per_second": three([each["per_second"] for each in rounds]),
            "times_baseline": three(
                [each["per_second"] / other["per_second"] for each, other in zip(rounds, base, strict=True)], 2
            ),
            "limit_ms": limits.get(name),
            "of_limit": [round(median(times) / least, 2) for least in limits.get(name, ())] or None,
            "ceiling_times_baseline": [
                round(most / median(each["per_second"] for each in base), 2) for most in ceilings.get(name, ())
            ]
            or None,
        }
    return rows


def limit(name: str, files: Sequence[bytes]) -> tuple[float, float]:
    """Return twice the mean milliseconds of pictures: of their networks alone, and of these and decoding."""
    settings = load_settings()
    with TemporaryDirectory() as folder:
        store = Store.of(settings.models)
        if name == STANDIN:
            made = standin.installed(SHARED, Path(folder) / "catalogue")
            store = Store(made, made)
        bench = StageBenchmark(settings, store, store.pack(name))
        stages = [bench.measure(data) for data in files[::4]]
        networks, decoding = (
            2 * mean(each.networks for each in stages),
            2 * mean(each.stages["decode"] for each in stages),
        )
        return round(networks, 2), round(networks + decoding, 2)


def ceiling(name: str, files: Sequence[bytes]) -> tuple[float, float]:
    """Return comparisons per second of all cores at once: of networks alone, and of these and decoding."""
    cores = available_cores()
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        limits = list(pool.map(limit, [name] * cores, [files] * cores))
    networks, with_decoding = (sum(1000 / each[which] for each in limits) for which in (0, 1))
    return round(networks, 1), round(with_decoding, 1)


if __name__ == "__main__":
    main()
