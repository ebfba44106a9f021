"""``compareface calibrate FOLDER``: measure what cosines mean on labelled faces and write ``calibration.toml``."""

from __future__ import annotations

import argparse
import datetime
import errno
import sys
from pathlib import Path

from app.config import load


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="measure a calibration on a folder of labelled faces",
        description="Count the cosines of all pairs of FOLDER/PERSON/PICTURE.jpg and write the cosine at each "
        "false-accept and true-accept rate.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, help="file to write; default: standard output")
    parser.add_argument("--data", help="name of the data set in the file; default: the folder's name")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.cli.measure import measure  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.packs.store import Store  # noqa: PLC0415
    from app.scoring import calibration  # noqa: PLC0415

    if args.out is not None and not args.out.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(args.out.parent))
    settings = load()
    store, pack = Store.configured(settings.models)
    counts, gallery = measure(settings, store, pack, args.folder)
    impostor, genuine = calibration.measured_points(counts)
    measured = calibration.Calibration(
        pack=pack.name,
        embedder_sha256=pack.embedder_sha256,
        data=args.data or args.folder.resolve().name,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        people=len(set(gallery.people)),
        pictures=len(gallery.pictures),
        not_found=len(gallery.refused),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
        impostor=impostor,
        genuine=genuine,
    )
    for far in measured.rough_fars():
        print(
            f"warning: FAR {far:g} rests on fewer than {calibration.FEWEST_ERRORS} pairs: take it as a rough guess",
            file=sys.stderr,
        )
    text = calibration.render(measured)
    if args.out is None:
        print(text, end="")
    else:
        args.out.write_text(text, encoding="utf-8")
        print(f"{args.out}: {counts.impostor_pairs:,} impostor and {counts.genuine_pairs:,} genuine pairs")
    return 0
