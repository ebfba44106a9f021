"""``compareface evaluate FOLDER``: how the pack and its calibration do on labelled faces, over all pairs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from app.config import load

_FAR_SCORES = (40, 50, 60)
_TAR_SCORES = (40, 50, 60, 70, 80)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure FAR and TAR on a folder of labelled faces",
        description="Compare all pairs of FOLDER/PERSON/PICTURE.jpg on scale 3.0. FAR: share of pairs of different "
        "people at or above a score; TAR: share of pairs of one person; accuracy: the best mean of TAR and 1 - FAR "
        "over all thresholds (chance is 0.5). Pictures without a usable face (not_found) are in no pair.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.cli.measure import measure  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.domain import FaceModelVersion  # noqa: PLC0415
    from app.packs.store import Store  # noqa: PLC0415
    from app.scoring import calibration  # noqa: PLC0415
    from app.scoring.scale import Scale  # noqa: PLC0415
    from app.service.gallery import GalleryError  # noqa: PLC0415

    settings = load()
    store, pack = Store.configured(settings.models)
    scale = Scale(calibration.load(store.calibration_path(pack.name), pack.embedder_sha256), FaceModelVersion.V3)
    counts, gallery = measure(settings, store, pack, args.folder)
    if not counts.genuine_pairs or not counts.impostor_pairs:
        raise GalleryError(f"{args.folder} holds no pairs: it takes two people, and two pictures of one of them")
    report = {
        "pack": pack.name,
        "people": len(set(gallery.people)),
        "pictures": len(gallery.pictures) + len(gallery.refused),
        "not_found": len(gallery.refused),
        "genuine": counts.genuine_pairs,
        "impostor": counts.impostor_pairs,
        "far": {str(score): counts.far(scale.cosine(score)) for score in _FAR_SCORES},
        "tar": {str(score): counts.tar(scale.cosine(score)) for score in _TAR_SCORES},
        "accuracy": counts.best_accuracy(),
    }
    print(json.dumps(report) if args.json else _table(report))
    return 0


def _table(report: dict[str, object]) -> str:
    lines = []
    for name, value in report.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        lines += [
            f"{name + (f' at {at}' if at else ''):<12} {row:.6g}" if isinstance(row, float) else f"{name:<12} {row}"
            for at, row in rows
        ]
    return "\n".join(lines)
