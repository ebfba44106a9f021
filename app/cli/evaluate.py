"""``compareface evaluate``: measure FAR and TAR of the active calibration on labelled faces."""

import argparse
import json
import sys

from app.cli.arguments import add_face_source, add_population, with_population
from app.domain import Population
from app.environment import load_settings
from app.packs.store import Store
from app.scoring import calibration
from app.tools.evaluation.evaluation import ScoreRow
from app.tools.evaluation.gallery import GalleryError
from app.tools.evaluation.measure import measure
from app.tools.evaluation.percent import percent
from app.tools.evaluation.sample_size import few_people_text


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare all pairs of FOLDER/PERSON/IMAGE.jpg, or listed pairs, with the active calibration. "
        "FAR: share of impostor pairs at or above a score. TAR: share of genuine pairs at or above it. Both have a "
        "95 % interval. Accuracy: the highest mean of TAR and 1 - FAR over all thresholds (chance is 50 %). Images "
        "without a usable face (not_found) are in no pair. Rates are percentages, in JSON fractions (0.01 is 1 %)."
    )
    add_face_source(parser)
    add_population(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    settings = with_population(load_settings(), args.population)
    population = settings.compare.population
    store, pack = Store.with_selected_pack(settings.models, args.pack)
    active = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    table = active.table(population)
    measured = measure(settings, store, pack, args.folder, args.pairs)
    counts, gallery = measured.counts, measured.gallery
    if not counts.genuine_pairs or not counts.impostor_pairs:
        raise GalleryError("no pairs to compare: at least two people are needed, one of them with two images")
    summary = {
        "pack": pack.name,
        "calibration": active.status(population),
        "population": population.value,
        "calibrated_on": table.data,
        "people": len(set(gallery.people)),
        "images": len(gallery.images) + len(gallery.failures),
        "not_found": len(gallery.failures),
        "genuine": counts.genuine_pairs,
        "impostor": counts.impostor_pairs,
    }
    if pack.unfit:
        print(f"warning: {pack.unfit}", file=sys.stderr)
    source = (args.pairs or args.folder).resolve().name
    if active.table(Population.GENERAL).data == source:
        print(
            f"warning: the active calibration was measured on {source}: use other people to check it", file=sys.stderr
        )
    if warning := few_people_text(counts.impostor_pairs):
        print(f"warning: {warning}", file=sys.stderr)
    accuracy, rows = counts.best_accuracy(), measured.evaluate(active, population).rows
    if args.json:
        print(
            json.dumps({**summary, "accuracy_fraction": round(accuracy, 6), "scores": [_record(row) for row in rows]})
        )
    else:
        lines = [f"{name:<13} {value}" for name, value in {**summary, "accuracy": percent(accuracy)}.items()]
        lines.append("")
        for row in rows:
            far, tar = row.far.text(counts.impostor_pairs), row.tar.text(counts.genuine_pairs)
            lines.append(f"score {row.score:g} on {row.version}:  FAR {far}  TAR {tar}")
        print("\n".join(lines))
    return 0


def _record(row: ScoreRow) -> dict[str, object]:
    rates = {"far_fraction": row.far._asdict(), "tar_fraction": row.tar._asdict()}
    return {"version": row.version, "score": row.score, "cosine": row.cosine, **rates}
