"""``compareface evaluate``: what the scores in force mean on labelled faces."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from app.cli.face_arguments import add_source
from app.environment import load_settings

if TYPE_CHECKING:
    from app.scoring.evaluation import ScoreRow


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure FAR and TAR on labelled faces",
        description="Compare all pairs of FOLDER/PERSON/PICTURE.jpg, or listed pairs, with the calibration in force. "
        "FAR: share of pairs of different people at or above a score; TAR: share of pairs of one person, each with its "
        "95 % interval; accuracy: the best mean of TAR and 1 - FAR over all thresholds (chance is 0.5). Pictures "
        "without a usable face (not_found) are in no pair.",
    )
    add_source(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.scoring import calibration  # noqa: PLC0415
    from app.tools.evaluation.gallery import GalleryError  # noqa: PLC0415
    from app.tools.evaluation.measure import measure, open_store  # noqa: PLC0415 - heavy; the parser must stay quick

    settings = load_settings()
    store, pack = open_store(settings, args.pack)
    in_force = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    measured = measure(settings, store, pack, args.folder, args.pairs)
    counts, gallery = measured.counts, measured.gallery
    if not counts.genuine_pairs or not counts.impostor_pairs:
        raise GalleryError("there are no pairs: it takes two people, and two pictures of one of them")
    report: dict[str, object] = {
        "pack": pack.name,
        "calibration": in_force.status,
        "people": len(set(gallery.people)),
        "pictures": len(gallery.images) + len(gallery.failures),
        "not_found": len(gallery.failures),
        "genuine": counts.genuine_pairs,
        "impostor": counts.impostor_pairs,
        "accuracy": counts.best_accuracy(),
    }
    rows = measured.evaluate(in_force).rows
    if args.json:
        print(json.dumps(report | {"scores": [_record(row) for row in rows]}))
    else:
        print("\n".join([*(f"{name:<12} {value}" for name, value in report.items()), "", *map(_line, rows)]))
    return 0


def _record(row: ScoreRow) -> dict[str, object]:
    return row._asdict() | {"far": row.far._asdict(), "tar": row.tar._asdict()}


def _line(row: ScoreRow) -> str:
    return f"score {row.score:g} on {row.version}:  FAR {row.far}  TAR {row.tar}"
