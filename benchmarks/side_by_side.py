"""compareface against the baseline in one run: same weights, images and machine, all over HTTP.

Every round measures each service in turn: one caller (latency), then eight (throughput). Ratios compare services within
a round. ``limit``: milliseconds of a comparison on one thread that consists only of the ``session.run`` calls, or of
these and decoding. ``ceiling``: comparisons per second of one process per core at this limit. ``--json FILE`` writes
the numbers.
"""

import argparse
import asyncio
import datetime
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
from app.tools.bench.load import run_closed_loop
from app.tools.bench.stages import StageBenchmark
from benchmarks import SHARED
from benchmarks.services import BASELINE, STANDIN, MeasuredService, image_sets, running_services, service_names
from benchmarks.tables import min_median_max, table, write_json
from tests.support import standin

_CALLERS = 8
_LATENCY_S, _THROUGHPUT_S, _WARM_UP_S = 3.0, 4.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("side by side: skipped, ../shared does not exist")
        return
    write_json(args.json, run(args.rounds))


def run(rounds: int) -> dict[str, object]:
    """Measure all services, print tables, return the numbers."""
    names, sets = service_names(), image_sets()
    measured: dict[str, dict[str, list[dict[str, float]]]] = {title: {name: [] for name in names} for title in sets}
    with running_services(names) as running:
        for title, files in sets.items():
            for service in running.values():
                asyncio.run(run_closed_loop(service.target(files), _CALLERS, _WARM_UP_S))
            for _ in range(rounds):
                for name, service in running.items():
                    measured[title][name].append(_measure_round(service, files))
        peaks = {name: round(service.peak_mib) for name, service in running.items()}
    limits = {title: {name: limit(name, files) for name in names[1:]} for title, files in sets.items()}
    ceilings = {title: {name: ceiling(name, files) for name in names[1:]} for title, files in sets.items()}
    result = {title: _rows(measured[title], limits[title], ceilings[title]) for title in sets}
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


def _measure_round(service: MeasuredService, files: Sequence[bytes]) -> dict[str, float]:
    target = service.target(files)
    single = asyncio.run(run_closed_loop(target, 1, _LATENCY_S))
    concurrent = asyncio.run(run_closed_loop(target, _CALLERS, _THROUGHPUT_S))
    for load in (single, concurrent):
        if set(load.codes) != {"OK"}:
            raise RuntimeError(f"not every request was successful: {load.codes}")
    return {"ms": single.milliseconds(0.5)[0], "per_second": concurrent.per_second()}


def _rows(
    measured: Mapping[str, list[dict[str, float]]],
    limits: Mapping[str, tuple[float, float]],
    ceilings: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, object]]:
    baseline = measured[BASELINE]
    rows: dict[str, dict[str, object]] = {}
    for name, rounds in measured.items():
        times = [values["ms"] for values in rounds]
        rows[name] = {
            "ms": min_median_max(times),
            "of_baseline": min_median_max(
                [row["ms"] / reference["ms"] for row, reference in zip(rounds, baseline, strict=True)], 3
            ),
            "per_second": min_median_max([values["per_second"] for values in rounds]),
            "times_baseline": min_median_max(
                [row["per_second"] / reference["per_second"] for row, reference in zip(rounds, baseline, strict=True)],
                2,
            ),
            "limit_ms": limits.get(name),
            "of_limit": [round(median(times) / limit_ms, 2) for limit_ms in limits.get(name, ())] or None,
            "ceiling_times_baseline": [
                round(rate / median(values["per_second"] for values in baseline), 2) for rate in ceilings.get(name, ())
            ]
            or None,
        }
    return rows


def limit(name: str, files: Sequence[bytes]) -> tuple[float, float]:
    """Return twice the mean milliseconds per image: networks only, and networks with decoding."""
    settings = load_settings()
    with TemporaryDirectory() as folder:
        store = Store.from_settings(settings.models)
        if name == STANDIN:
            catalogue = standin.installed(SHARED, Path(folder) / "catalogue")
            store = Store(catalogue, catalogue)
        benchmark = StageBenchmark(settings, store, store.pack(name))
        stages = [benchmark.measure(data) for data in files[::4]]
        networks = 2 * mean(durations["networks"] for durations in stages)
        decoding = 2 * mean(durations["decode"] for durations in stages)
        return round(networks, 2), round(networks + decoding, 2)


def ceiling(name: str, files: Sequence[bytes]) -> tuple[float, float]:
    """Return comparisons per second of all cores together: networks only, and networks with decoding."""
    cores = available_cores()
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        limits = list(pool.map(limit, [name] * cores, [files] * cores))
    networks, with_decoding = (sum(1000 / limits_ms[index] for limits_ms in limits) for index in (0, 1))
    return round(networks, 1), round(with_decoding, 1)


if __name__ == "__main__":
    main()
