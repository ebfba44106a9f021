"""Accuracy on the development half of LFW (``../shared/data/lfw``), for one pack: FAR and TAR at every usual score.

FAR is shown twice: for the calibration as shipped, and for people that a calibration has not seen (the people are
split in two halves; each half is calibrated on the other). 10-fold accuracy follows the official pairs file. Subsets of
other pairs follow, which no calibration was made for: ``../shared/data/london``, and for each picture the ten strangers
who look most like it to another pack. ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.environment import load_settings
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.evaluation import Faces, Listed, ScoreRow, evaluate, evaluate_listed
from app.scoring.pairs import PairCounts, count_listed, count_pairs
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.measure import measure
from benchmarks import lfw_errors

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_ALL = "calibration as shipped, all people"
_ALIKE = "strangers who look alike to another pack, calibration as shipped"
_TARGETS = {
    ("3.0", 40): 1e-3,
    ("3.0", 50): 1e-4,
    ("3.0", 60): 1e-5,
    ("2.0", 70): 1e-3,
    ("2.0", 80): 1e-4,
    ("2.0", 90): 1e-5,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (_DATA / "lfw").is_dir():
        print("accuracy: skipped, the folder ../shared/data/lfw is not here")
        return
    result = run(Store.of(load_settings().models), args.pack)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(store: Store, name: str) -> dict[str, object]:
    """Measure one pack, print a table, return the numbers."""
    settings, pack = load_settings(), store.pack(name)
    started = time.monotonic()
    counts, gallery, _ = measure(settings, store, pack, _DATA / "lfw")
    milliseconds = 1000 * (time.monotonic() - started) / len(gallery.pictures)
    print(
        f"pack {pack.name}: {len(set(gallery.people))} people, {len(gallery.pictures)} pictures, "
        f"{len(gallery.refused)} without a face, {counts.impostor_pairs:,} impostor, {counts.genuine_pairs:,} genuine"
    )
    shipped = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    tables = {_ALL: rows(gallery, shipped)}
    for title, known, unseen in halves(gallery):
        tables[title] = rows(unseen, calibrated_on(known, shipped))
    london = measure(settings, store, pack, _DATA / "london").gallery
    tables["London studio portraits, calibration as shipped"] = rows(london, shipped)
    alike = look_alikes(store, gallery, "omz" if name == "open" else "open")
    if alike is not None:
        tables[_ALIKE] = evaluate_listed(faces(gallery), *alike, shipped).rows
    for title, table in tables.items():
        print(f"\n{title}")
        for row in table:
            print(f"  {line(row)}")
    strangers = without_known_errors(gallery, tables[_ALL])
    print("\nFAR without the pairs of names that show one person:", strangers)
    mean, error = ten_fold(gallery, _DATA / "lfw_pairs.txt")
    print(f"\n10-fold accuracy on lfw_pairs.txt: {mean:.4f} +- {error:.4f} (standard error)")
    return {
        "pack": pack.name,
        "data": f"LFW development half: {len(set(gallery.people))} people, {len(gallery.pictures)} pictures",
        "not_found": len(gallery.refused),
        "impostor_pairs": counts.impostor_pairs,
        "genuine_pairs": counts.genuine_pairs,
        "ten_fold": [mean, error],
        "milliseconds_per_picture": milliseconds,
        "far_without_known_errors": strangers,
        "tables": {title: [row._asdict() for row in table] for title, table in tables.items()},
    }


def line(row: ScoreRow) -> str:
    target = _TARGETS.get((row.version.value, int(row.score)))
    verdict = "" if target is None else f"  target {target:g} {'inside' if row.far.holds(target) else 'OUTSIDE'}"
    return f"{row.version} score {row.score:g}: FAR {row.far}  TAR {row.tar}{verdict}"


def rows(gallery: Gallery, table: calibration.Calibration) -> tuple[ScoreRow, ...]:
    return evaluate(faces(gallery), count_pairs(gallery.embeddings, gallery.people), table).rows


def faces(gallery: Gallery) -> Faces:
    return Faces(gallery.embeddings, gallery.people, [str(picture) for picture in gallery.pictures])


def without_known_errors(gallery: Gallery, table: Iterable[ScoreRow]) -> dict[str, float]:
    """Return the FAR at each score of 3.0, leaving out the pairs of names of ``lfw_errors.SAME``."""
    people = np.array(gallery.people)
    same = [
        (gallery.embeddings[people == one] @ gallery.embeddings[people == other].T).ravel()
        for one, other in lfw_errors.SAME
    ]
    wrong = np.concatenate(same)
    pairs = count_pairs(gallery.embeddings, gallery.people).impostor_pairs
    return {
        f"{row.score:g}": (row.far.value * pairs - int((wrong >= row.cosine).sum())) / (pairs - len(wrong))
        for row in table
        if row.version.value == "3.0"
    }


def look_alikes(store: Store, gallery: Gallery, other: str) -> tuple[Listed, PairCounts] | None:
    """Return the pairs of each picture with the ten strangers who look most like it to another pack, if it is there."""
    pack = store.pack(other)
    if not store.is_installed(pack):
        return None
    seen = measure(load_settings(), store, pack, _DATA / "lfw").gallery
    row = {picture: i for i, picture in enumerate(seen.pictures)}
    order = [row.get(picture, -1) for picture in gallery.pictures]
    cosines = seen.embeddings[order] @ seen.embeddings[order].T
    labels = np.unique(np.asarray(gallery.people), return_inverse=True)[1]
    cosines[labels[:, None] == labels[None]] = -2.0
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    ends = np.stack([np.repeat(np.arange(len(labels)), 10), nearest.ravel()], axis=1)
    pairs = np.unique(np.sort(ends, axis=1), axis=0).astype(np.intp)
    same = np.zeros(len(pairs), dtype=np.bool_)
    return Listed(pairs, same, has_people=True), count_listed(gallery.embeddings, pairs, same)


def halves(gallery: Gallery) -> Iterable[tuple[str, Gallery, Gallery]]:
    """Split the people at random; yield (title, half to calibrate on, half to measure) both ways."""
    people = np.array(gallery.people)
    names = np.random.default_rng(0).permutation(np.unique(people))
    chosen = np.isin(people, names[: len(names) // 2])
    one, two = _part(gallery, chosen), _part(gallery, ~chosen)
    yield "people unseen by the calibration, half 1", two, one
    yield "people unseen by the calibration, half 2", one, two


def _part(gallery: Gallery, chosen: NDArray[np.bool_]) -> Gallery:
    return Gallery(
        embeddings=gallery.embeddings[chosen],
        pictures=tuple(np.array(gallery.pictures)[chosen]),
        people=tuple(np.array(gallery.people)[chosen]),
        refused={},
    )


def calibrated_on(gallery: Gallery, like: calibration.Calibration) -> calibration.Calibration:
    counts = count_pairs(gallery.embeddings, gallery.people)
    return dataclasses.replace(
        like,
        impostor=calibration.impostor_points(counts),
        genuine=calibration.genuine_points(counts),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
    )


def ten_fold(gallery: Gallery, pairs: Path) -> tuple[float, float]:
    """Mean and standard error of the accuracy at the threshold that is best on the other nine folds."""
    rows = {path.name: row for path, row in zip(gallery.pictures, gallery.embeddings, strict=True)}
    cosines, same = [], []
    for line in pairs.read_text().splitlines():
        name, first, *other, second = line.split()
        a, b = rows.get(f"{name}_{int(first):04d}.jpg"), rows.get(f"{(other or [name])[0]}_{int(second):04d}.jpg")
        cosines.append(-1.0 if a is None or b is None else float(a @ b))
        same.append(not other)
    cosine, truth = np.array(cosines), np.array(same)
    folds = np.array_split(np.random.default_rng(0).permutation(len(cosine)), 10)
    accuracies = []
    for held_out in folds:
        seen = np.setdiff1d(np.arange(len(cosine)), held_out)
        best = max(np.unique(cosine[seen]), key=lambda t: np.mean((cosine[seen] >= t) == truth[seen]))
        accuracies.append(np.mean((cosine[held_out] >= best) == truth[held_out]))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(len(folds)))


if __name__ == "__main__":
    main()
