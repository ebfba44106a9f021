"""``compareface calibrate``: measure a calibration on labelled faces; write the table and a report."""

import argparse
import datetime
import errno
import sys
from pathlib import Path

from app.cli.arguments import add_face_source
from app.domain import FaceModelVersion
from app.environment import load_settings
from app.packs.files import write
from app.packs.manifest import Pack
from app.scoring import calibration
from app.scoring.calibration import MIN_EXPECTED_IMPOSTORS, Calibration
from app.scoring.evaluation import with_intervals
from app.scoring.scale import Scale
from app.tools.evaluation import report
from app.tools.evaluation.measure import Measurement, measure, open_store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Count the cosines of all pairs of FOLDER/PERSON/IMAGE.jpg, or of listed pairs, and write the cosine at each "
        "false-accept and true-accept rate."
    )
    add_face_source(parser)
    parser.add_argument("--data", help="name of the data set in the file; default: name of the folder or list")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, metavar="FILE", help="file to write; default: standard output")
    target.add_argument("--install", action="store_true", help="write it next to the weights: the next start uses it")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report with charts, as one HTML page")


def run(args: argparse.Namespace) -> int:
    for file in (args.out, args.report):
        if file is not None and not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(file.parent))
    settings = load_settings()
    store, pack = open_store(settings, args.pack)
    measured = measure(settings, store, pack, args.folder, args.pairs)
    table = _calibration(measured, pack, args.data or (args.pairs or args.folder).resolve().name)
    _warn(table)
    if args.report is not None:
        args.report.write_text(report.render(measured.evaluate(table)), encoding="utf-8")
        print(f"report: {args.report}", file=sys.stderr)
    out = store.custom_calibration_path(table.pack) if args.install else args.out
    if out is None:
        print(calibration.render(table), end="")
    else:
        write(out, calibration.render(table).encode())
        print(f"{out}: {table.impostor_pairs:,} impostor and {table.genuine_pairs:,} genuine pairs")
    return 0


def _calibration(measured: Measurement, pack: Pack, data: str) -> Calibration:
    """Return the calibration that the counted pairs give; raise ``CalibrationError`` if it makes no scale."""
    counts, gallery, listed = measured
    points = calibration.impostor_points(counts)
    table = Calibration(
        pack=pack.name,
        embedder_sha256=pack.embedder_sha256,
        data=data,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        people=len(set(gallery.people)) if listed is None or listed.has_people else 0,
        images=len(gallery.images),
        not_found=len(gallery.failures),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=points if listed else with_intervals(points, measured.faces),
        genuine=calibration.genuine_points(counts),
    )
    for version in FaceModelVersion:
        Scale(table, version)  # a service must be able to start with this table
    return table


def _warn(table: Calibration) -> None:
    if not any(point.interval for point in table.impostor):
        print("warning: no intervals: there are too few people, or the list does not name them", file=sys.stderr)
    extrapolated = [point.far for point in table.impostor if point.is_extrapolated]
    if extrapolated:
        reason = f"fewer than {MIN_EXPECTED_IMPOSTORS} pairs expected above"
        print(f"warning: FAR {extrapolated[0]:g} and less are extrapolated: {reason}", file=sys.stderr)
