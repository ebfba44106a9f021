"""``compareface calibrate``: measure a calibration on labelled faces; write the table and a report."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from app.api.auth.keys import KeyRing
from app.cli.arguments import add_face_source, valid_text
from app.domain import Population
from app.environment import Settings, load_settings
from app.packs.files import write
from app.packs.store import Store
from app.scoring.calibration import Calibration, CalibrationError, PopulationTable
from app.tools.evaluation import report
from app.tools.evaluation.calibrate import calibrate
from app.tools.evaluation.calibration_file import render
from app.tools.evaluation.group_rates import SCORES, GroupRates, group_rates
from app.tools.evaluation.measure import measure
from app.tools.evaluation.sample_size import few_people_text
from app.tools.files import named


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Count the cosines of all pairs of FOLDER/PERSON/IMAGE.jpg, or of listed pairs, and write the cosine at each "
        "false-accept and true-accept rate."
    )
    add_face_source(parser)
    groups = (
        "calibrate the population `matched`, too, on pairs within a group; FOLDER/GROUP/PERSON/IMAGE.jpg, or lines "
        "`A B same|different GROUP` of the list (`-`: no group)"
    )
    parser.add_argument("--groups", action="store_true", help=groups)
    parser.add_argument(
        "--data", type=valid_text, help="name of the data set in the file; default: name of the folder or list"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, metavar="FILE", help="file to write; default: standard output")
    target.add_argument("--install", action="store_true", help="write it next to the weights: the next start uses it")
    extrapolated = "let --install write a calibration with extrapolated FARs at 40, 50 or 60"
    parser.add_argument("--allow-extrapolated", action="store_true", help=extrapolated)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report with charts, as one HTML page")


def run(args: argparse.Namespace) -> int:
    for file in (args.out, args.report):
        if file is not None and not file.parent.is_dir():
            raise CalibrationError(f"{file.parent}: No such folder")
    settings = load_settings()
    if args.install:
        _require_selected_populations(settings, has_groups=args.groups)
    store, pack = Store.with_selected_pack(settings.models, args.pack)
    measured = measure(settings, store, pack, args.folder, args.pairs, has_groups=args.groups)
    calibration = calibrate(measured, pack, args.data or (args.pairs or args.folder).resolve().name)
    for population, table in calibration.populations.items():
        _warn(population, table)
    rates = group_rates(measured, calibration)
    if args.report is not None:
        page = report.render(measured.evaluate(calibration), rates, measured.precision)
        with named(args.report):
            args.report.write_text(page, encoding="utf-8", errors="backslashreplace")
        print(f"report: {args.report}", file=sys.stderr)
    out = store.custom_calibration_path(pack.name) if args.install else args.out
    print_rates(rates, sys.stderr if out is None else sys.stdout)
    if args.install and not args.allow_extrapolated:
        _require_measured(calibration)
    if out is None:
        print(render(calibration), end="")
    else:
        _write(calibration, out, is_installed=args.install)
    return 0


def _require_selected_populations(settings: Settings, *, has_groups: bool) -> None:
    """Raise :class:`CalibrationError` if the service could not start, because a selected population is missing."""
    measured = Population if has_groups else (Population.GENERAL,)
    callers = KeyRing.open(settings.auth).callers()
    selected = {"COMPAREFACE_COMPARE__POPULATION": settings.compare.population} | {
        f"the SecretId {name}": caller.population for name, caller in callers.items() if caller.population
    }
    for source, population in selected.items():
        if population not in measured:
            raise CalibrationError(
                f"{source} selects the population {population}, so the service would not start with this calibration: "
                "add --groups, which needs folders GROUP/PERSON/IMAGE.jpg, or use --out instead of --install"
            )


def _require_measured(calibration: Calibration) -> None:
    """Raise :class:`CalibrationError` if the FAR of a documented threshold is extrapolated."""
    for population, table in calibration.populations.items():
        if table.has_extrapolated_thresholds:
            raise CalibrationError(
                f"not installed, because a FAR at 40, 50 or 60 is extrapolated (population {population}): keep the "
                "active calibration, or add --allow-extrapolated if you use only measured thresholds"
            )


def _write(calibration: Calibration, out: Path, *, is_installed: bool) -> None:
    write(out, render(calibration).encode())
    for population, table in calibration.populations.items():
        pairs = f"{table.impostor_pairs:,} impostor and {table.genuine_pairs:,} genuine pairs"
        print(f"{out}: population {population}: {pairs}")
    if is_installed:
        print("The next start uses it; delete the file to restore the shipped calibration.")


def print_rates(rates: Sequence[GroupRates], stream: TextIO) -> None:
    for row in rates:
        pairs = row.impostor_pairs
        fars = "  ".join(f"FAR at {score:g} {far.text(pairs)}" for score, far in zip(SCORES, row.fars, strict=True))
        print(f"{row.group}, {pairs:,} impostor pairs, {row.population}:  {fars}", file=stream)


def _warn(population: Population, table: PopulationTable) -> None:
    if not any(point.interval for point in table.impostor):
        reason = "there are too few people, or the pairs are listed"
        print(f"warning: population {population}: no intervals: {reason}", file=sys.stderr)
    if table.has_extrapolated_thresholds:
        pairs = min([group.impostor_pairs for group in table.groups] or [table.impostor_pairs])
        text = f"{few_people_text(pairs)}. Those scores are extrapolated: do not base decisions about people on them"
        print(f"warning: population {population}: {text}", file=sys.stderr)
