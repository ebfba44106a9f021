"""``compareface bench stages|load``: how fast this machine is, and how a running service bears a load."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.environment import load_settings

if TYPE_CHECKING:
    from app.tools.bench.load import Load, Target
    from app.tools.bench.stages import StageDurations

_QUANTILES = (0.5, 0.9, 0.99, 1.0)
_PATIENCE_S = 5.0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("bench", help="measure the stages of a comparison, or a service under load")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="stages|load")
    stages = kinds.add_parser("stages", help="milliseconds of each stage for one picture, on one thread")
    stages.add_argument("photos", metavar="PHOTO", type=Path, nargs="+", help="files that show a face")
    stages.add_argument("--pack", metavar="NAME", help="default: the configured one")
    stages.set_defaults(run=_run_stages)
    load = kinds.add_parser("load", help="comparisons per second, and how long they take")
    load.add_argument("photos", metavar="PHOTO", type=Path, nargs="+", help="files; each is compared with the next")
    load.add_argument("--endpoint", default="http://127.0.0.1:8000", help="address of the service (%(default)s)")
    load.add_argument("--seconds", type=float, default=10.0, help="%(default)s; signatures are good for 300")
    how = load.add_mutually_exclusive_group()
    how.add_argument("--concurrency", type=int, default=8, help="so many callers at once (%(default)s)")
    how.add_argument("--rate", type=float, help="so many requests a second, answered or not")
    load.set_defaults(run=_run_load)
    for each in (stages, load):
        each.add_argument("--json", action="store_true", help="print one JSON object")


def _run_stages(args: argparse.Namespace) -> int:
    from app.packs.store import Store  # noqa: PLC0415
    from app.tools.bench.stages import StageBenchmark  # noqa: PLC0415 - heavy; the parser must stay quick

    settings = load_settings()
    store, configured = Store.with_selected_pack(settings.models)
    pack = store.pack(args.pack) if args.pack else configured
    benchmark = StageBenchmark(settings, store, pack)
    found = {str(photo): benchmark.measure(photo.read_bytes()) for photo in args.photos}
    if args.json:
        print(json.dumps({"pack": pack.name, "milliseconds": {name: _flat(row) for name, row in found.items()}}))
    else:
        print(f"pack {pack.name}, one thread, milliseconds and share of the whole")
        print("\n".join(stage_table(found)))
    return 0


def stage_table(measured: dict[str, StageDurations]) -> list[str]:
    """Return one line per stage: milliseconds and share of the whole, for each image."""
    rows = {name: _flat(durations) for name, durations in measured.items()}
    lines = [f"{'':<10}" + "".join(f"{name[-18:]:>20}" for name in rows)]
    for stage in next(iter(rows.values())):
        cells = (f"{row[stage]:9.2f} {100 * row[stage] / row['whole']:4.0f} %" for row in rows.values())
        lines.append(f"{stage:<10}" + "".join(f"{cell:>20}" for cell in cells))
    ratios = (f"{row['whole'] / row['networks']:20.2f}" for row in rows.values())
    return [*lines, f"{'ratio':<10}" + "".join(ratios)]


def _flat(durations: StageDurations) -> dict[str, float]:
    return {**durations.stages, "whole": durations.whole, "networks": durations.networks}


def _run_load(args: argparse.Namespace) -> int:
    from app.tools.bench.load import arrive, sustain  # noqa: PLC0415

    target = _target(args.endpoint, args.photos)
    _check(target, args.seconds, args.rate)
    made = arrive(target, args.rate, args.seconds) if args.rate else sustain(target, args.concurrency, args.seconds)
    told = summary(asyncio.run(made))
    if args.json:
        print(json.dumps(told))
    else:
        print("\n".join(f"{name.replace('_', ' '):<24}{value}" for name, value in told.items()))
    return 0 if told["accepted_per_second"] else 1


def _check(target: Target, seconds: float, rate: float | None) -> None:
    """Raise ``SettingsError`` where there is nothing to measure."""
    from app.environment import SettingsError  # noqa: PLC0415

    if not seconds > 0 or (rate is not None and not rate * seconds >= 1):
        raise SettingsError("--seconds and --rate must be more than 0, and make at least one request")
    try:
        socket.create_connection((target.host, target.port), _PATIENCE_S).close()
    except OSError as error:
        raise SettingsError(f"nobody answers at {target.host}:{target.port}: {error.strerror or error}") from error


def summary(load: Load) -> dict[str, object]:
    """Return what is told of a load: answers by code, accepted ones a second and their milliseconds."""
    taken = load.milliseconds(*_QUANTILES)
    names = ("median_ms", "p90_ms", "p99_ms", "max_ms")
    return {
        "answers": load.codes,
        "accepted_per_second": round(load.per_second(), 2),
        **{name: round(value, 1) for name, value in zip(names, taken, strict=True)},
    }


def _target(endpoint: str, photos: list[Path]) -> Target:
    """Prepare signed requests, which are good for some minutes."""
    from app.cli.compare import image_ref  # noqa: PLC0415
    from app.cli.sign import pick_key, sent_host, signed_headers  # noqa: PLC0415
    from app.environment import SettingsError  # noqa: PLC0415
    from app.tools.bench.load import Target, http_request  # noqa: PLC0415

    secret_id, key = pick_key(load_settings().auth, None)
    host, parts = sent_host(endpoint), urlsplit(endpoint)
    if parts.scheme != "http":
        raise SettingsError(f"{endpoint} is not an http address; measure behind the proxy, not through it")
    texts = [image_ref(str(photo)).base64 for photo in photos]
    requests = []
    for a, b in zip(texts, [*texts[1:], texts[0]], strict=True):
        body = json.dumps({"ImageA": a, "ImageB": b}).encode()
        signed = signed_headers(secret_id, key, host, body, int(time.time()))
        requests.append(
            http_request(host, {**signed, "X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}, body)
        )
    return Target(parts.hostname or "", parts.port or 80, requests)
