"""FAR and TAR of the shipped calibrations for impostors who resemble each other more than random pairs of LFW.

Pairs of one sex on the development half of LFW (``lfw_sex.csv``), and pairs of the American Multiracial Face Database
(``amfd``: people of similar age, mostly women, photographed in one studio). ``--json FILE`` writes the numbers.
"""

import argparse
import csv
import dataclasses
from pathlib import Path

import numpy as np

from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings, load_settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.tools.evaluation.evaluation import evaluate
from app.tools.evaluation.gallery import Gallery, embed_images
from app.tools.evaluation.measure import measure
from app.tools.evaluation.pairs import LabelledFaces, count_pairs
from benchmarks import SHARED
from benchmarks.accuracy import faces, subset
from benchmarks.tables import write_json

_DATA = SHARED / "data"
_PACKS = ("omz", "open")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (_DATA / "amfd").is_dir():
        print("similar_people: skipped, ../shared/data/amfd does not exist")
        return
    store = Store.from_settings(load_settings().models)
    write_json(args.json, {name: run(load_settings(), store, store.pack(name)) for name in _PACKS})


def run(settings: Settings, store: Store, pack: Pack) -> dict[str, object]:
    """Measure one pack, print its rates, return the numbers by group."""
    table = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    results: dict[str, object] = {}
    for title, group in groups(settings, store, pack).items():
        counts = count_pairs(group.embeddings, group.people)
        rows = [row for row in evaluate(group, counts, table).rows if row.version.value == "3.0"][:3]
        people = len(set(group.people))
        print(f"{pack.name}, {title}: {people} people, {counts.impostor_pairs:,} impostor pairs")
        for row in rows:
            print(f"  score {row.score:g}: FAR {row.far}  TAR {row.tar}")
        results[title] = {
            "people": people,
            "impostor_pairs": counts.impostor_pairs,
            "rows": [row._asdict() for row in rows],
        }
    return results


def groups(settings: Settings, store: Store, pack: Pack) -> dict[str, LabelledFaces]:
    """Return the faces of each group by title; impostor pairs are those within the group."""
    lfw = measure(settings, store, pack, _DATA / "lfw").gallery
    with (_DATA / "lfw_sex.csv").open(newline="") as file:
        sex_of = {row["person"]: row["sex"] for row in csv.DictReader(file)}
    sexes = np.array([sex_of.get(person, "") for person in lfw.people])
    return {
        "LFW, men": faces(subset(lfw, sexes == "M")),
        "LFW, women": faces(subset(lfw, sexes == "F")),
        "similar age, mostly women, one studio": faces(_amfd(settings, store, pack)),
    }


def _amfd(settings: Settings, store: Store, pack: Pack) -> Gallery:
    """Return the faces of AMFD; ``NF-1002.jpg`` and ``SF-1002.jpg`` show the same person."""
    shared = open_shared_resources(settings)
    pipeline = open_pipelines(settings, store, pack, shared).embedding
    gallery = embed_images(pipeline, sorted((_DATA / "amfd").glob("*.jpg")), shared.budget.workers)
    return dataclasses.replace(gallery, people=tuple(path.stem[1:] for path in gallery.images))


if __name__ == "__main__":
    main()
