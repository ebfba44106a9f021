"""``compareface calibrate``: measure what cosines mean on labelled faces; write the table and a report."""

from __future__ import annotations

import argparse
import datetime
import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.face_arguments import add_source
from app.environment import load_settings

if TYPE_CHECKING:
    from app.packs.manifest import Pack
    from app.packs.store import Store
    from app.scoring.calibration import Calibration
    from app.tools.evaluation.measure import Measurement


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="measure a calibration on labelled faces",
        description="Count the cosines of all pairs of FOLDER/PERSON/PICTURE.jpg, or of listed pairs, and write the "
        "cosine at each false-accept and true-accept rate.",
    )
    add_source(parser)
    parser.add_argument("--data", help="name of the data set in the file; default: that of the folder or list")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, metavar="FILE", help="file to write; default: standard output")
    target.add_argument("--install", action="store_true", help="write it beside the weights: the next start uses it")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report with charts, as one HTML page")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.scoring.calibration import MIN_EXPECTED_IMPOSTORS  # noqa: PLC0415
    from app.tools.evaluation import report  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.tools.evaluation.measure import measure, open_store  # noqa: PLC0415

    for file in (args.out, args.report):
        if file is not None and not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(file.parent))
    settings = load_settings()
    store, pack = open_store(settings, args.pack)
    measured = measure(settings, store, pack, args.folder, args.pairs)
    made = _calibration(measured, pack, args.data or (args.pairs or args.folder).resolve().name)
    if not any(point.interval for point in made.impostor):
        print("warning: too few people, or a list without them: no intervals", file=sys.stderr)
    beyond = [point.far for point in made.impostor if point.is_extrapolated]
    if beyond:
        print(
            f"warning: FAR {beyond[0]:g} and less are extrapolated: fewer than {MIN_EXPECTED_IMPOSTORS} pairs expected above",
            file=sys.stderr,
        )
    if args.report is not None:
        args.report.write_text(report.render(measured.evaluate(made)), encoding="utf-8")
        print(f"report: {args.report}", file=sys.stderr)
    _write(store, args, made)
    return 0


def _calibration(measured: Measurement, pack: Pack, data: str) -> Calibration:
    from app.domain import FaceModelVersion  # noqa: PLC0415
    from app.scoring import calibration  # noqa: PLC0415
    from app.scoring.evaluation import with_intervals  # noqa: PLC0415
    from app.scoring.scale import Scale  # noqa: PLC0415

    counts, gallery, listed = measured
    points = calibration.impostor_points(counts)
    made = calibration.Calibration(
        pack=pack.name,
        embedder_sha256=pack.embedder_sha256,
        data=data,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        people=len(set(gallery.people)) if listed is None or listed.has_people else 0,
        pictures=len(gallery.images),
        not_found=len(gallery.failures),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=points if listed else with_intervals(points, measured.faces),
        genuine=calibration.genuine_points(counts),
    )
    for version in FaceModelVersion:
        Scale(made, version)  # whoever installs it must be able to start with it
    return made


def _write(store: Store, args: argparse.Namespace, made: Calibration) -> None:
    from app.packs.files import write  # noqa: PLC0415
    from app.scoring.calibration import render  # noqa: PLC0415

    path = store.custom_calibration_path(made.pack) if args.install else args.out
    if path is None:
        print(render(made), end="")
        return
    write(path, render(made).encode())
    print(f"{path}: {made.impostor_pairs:,} impostor and {made.genuine_pairs:,} genuine pairs")
