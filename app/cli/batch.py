"""``compareface batch PAIRS.csv --out SCORES.parquet``: score a table of image pairs."""

import argparse
import sys
from pathlib import Path

from app.cli.arguments import add_pack, add_population, with_population
from app.environment import load_settings
from app.packs.store import Store
from app.tools.batch.job import BatchJob


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Add score, code and image to each row of a CSV file whose columns a and b name image files (relative to the "
        "CSV file) or http(s) URLs. After an interruption, the same command continues. A finished job, which the file "
        ".SCORES.done marks, is not repeated, unless images were missing or downloads failed. "
        "Codes are those of the API, and ImageNotFound for a missing or unreadable file."
    )
    parser.add_argument("pairs", metavar="PAIRS.csv", type=Path)
    parser.add_argument("--out", metavar="SCORES", type=Path, required=True, help="file to write, .csv or .parquet")
    add_pack(parser)
    add_population(parser)
    parser.add_argument("--ray", metavar="ADDRESS", help="embed on a Ray cluster (`auto`, or HOST:PORT)")


def run(args: argparse.Namespace) -> int:
    settings = with_population(load_settings(), args.population)
    store, pack = Store.with_selected_pack(settings.models, args.pack)
    summary = BatchJob(settings, store, pack, args.pairs, args.out).run(args.ray)
    print(f"{args.out}: {summary}", file=sys.stderr)
    return 0
