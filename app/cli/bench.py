"""``compareface bench stages|load``: measure stage durations on this machine, or a running service under load."""

import argparse
import asyncio
import json
from pathlib import Path

from app.cli.arguments import add_endpoint, add_pack, positive_float, positive_int
from app.environment import SettingsError, load_settings
from app.packs.store import Store
from app.tools.bench.load import prepare_target, run_closed_loop, run_open_loop
from app.tools.bench.stages import StageBenchmark, stage_table


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="stages|load")
    stages_text = "milliseconds of each stage for one image, on one thread"
    load_text = "comparisons per second and latency of a running service"
    stages = kinds.add_parser("stages", help=stages_text, description=f"Measure the {stages_text}.")
    stages.epilog = "example: compareface bench stages a.jpg"
    stages.add_argument("photos", metavar="IMAGE", type=Path, nargs="+", help="image files that show a face")
    add_pack(stages)
    load = kinds.add_parser("load", help=load_text, description=f"Measure the {load_text}.")
    load.epilog = "example: compareface bench load a.jpg b.jpg --concurrency 8"
    load.add_argument("photos", metavar="IMAGE", type=Path, nargs="+", help="image files; each is compared to the next")
    add_endpoint(load)
    duration = "duration in seconds (default: %(default)s), at most the service's COMPAREFACE_AUTH__MAX_SKEW_S"
    load.add_argument("--seconds", type=positive_float, default=10.0, help=duration)
    loop = load.add_mutually_exclusive_group()
    loop.add_argument(
        "--concurrency", type=positive_int, default=8, help="closed loop: concurrent clients (%(default)s)"
    )
    loop.add_argument(
        "--rate", type=positive_float, help="open loop: requests per second, whether or not others were answered"
    )
    for command in (stages, load):
        command.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    return _stages(args) if args.kind == "stages" else _load(args)


def _stages(args: argparse.Namespace) -> int:
    settings = load_settings()
    store, pack = Store.with_selected_pack(settings.models, args.pack)
    benchmark = StageBenchmark(settings, store, pack)
    durations = {str(photo): benchmark.measure(photo.read_bytes()) for photo in args.photos}
    if args.json:
        print(json.dumps({"pack": pack.name, "milliseconds": durations}))
    else:
        print(f"pack {pack.name}, one thread, milliseconds and share of the total")
        print("\n".join(stage_table(durations)))
    return 0


def _load(args: argparse.Namespace) -> int:
    if args.rate and args.rate * args.seconds < 1:
        raise SettingsError("the load has no request: --rate times --seconds must be at least 1")
    target = prepare_target(load_settings(), args.endpoint, args.photos)
    if args.rate:
        load = run_open_loop(target, args.rate, args.seconds)
    else:
        load = run_closed_loop(target, args.concurrency, args.seconds)
    summary = asyncio.run(load).summary()
    if args.json:
        print(json.dumps(summary))
    else:
        lines = [f"{name.replace('_', ' '):<24}{'-' if value is None else value}" for name, value in summary.items()]
        print("\n".join(lines))
    return 0 if summary["accepted_per_second"] else 1
