"""Accuracy of one pack on the development half of LFW: FAR and TAR at every usual score.

The shipped calibration was measured on this data. Therefore the FAR is also reported for calibrations of one half of
the people on the other half. Ten-fold accuracy uses the official pairs. Two harder sets follow: London, and for each
image its ten most similar impostors according to another pack. ``--json FILE`` writes the numbers.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from app.domain import Population
from app.environment import load_settings
from app.packs.store import Store
from app.scoring import calibration, similarity
from app.scoring.similarity import cosine_matrix
from app.tools.evaluation.calibrate import genuine_points, impostor_points
from app.tools.evaluation.evaluation import ScoreRow, evaluate
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.measure import measure
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, PairCounts, count_listed_pairs, count_pairs
from benchmarks import SHARED, lfw_errors
from benchmarks.tables import write_json

_DATA = SHARED / "data"
_ALL = "shipped calibration, all people"
_SIMILAR = "impostors similar by another pack, shipped calibration"
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
        print("accuracy: skipped, ../shared/data/lfw does not exist")
        return
    result = run(Store.from_settings(load_settings().models), args.pack)
    write_json(args.json, result)


def run(store: Store, name: str) -> dict[str, object]:
    """Measure one pack, print a table, return the numbers."""
    settings, pack = load_settings(), store.pack(name)
    started = time.monotonic()
    counts, gallery, *_ = measure(settings, store, pack, _DATA / "lfw")
    milliseconds = 1000 * (time.monotonic() - started) / len(gallery.images)
    print(
        f"pack {pack.name}: {len(set(gallery.people))} people, {len(gallery.images)} images, "
        f"{len(gallery.failures)} without a face, {counts.impostor_pairs:,} impostor, {counts.genuine_pairs:,} genuine"
    )
    shipped = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    tables = {_ALL: rows(gallery, shipped)}
    for title, calibration_half, evaluation_half in halves(gallery):
        tables[title] = rows(evaluation_half, calibrated_on(calibration_half, shipped))
    london = measure(settings, store, pack, _DATA / "london").gallery
    tables["London studio portraits, shipped calibration"] = rows(london, shipped)
    similar = similar_impostors(store, gallery, "omz" if name == "open" else "open")
    if similar is not None:
        tables[_SIMILAR] = evaluate(faces(gallery), similar[1], shipped, similar[0]).rows
    for title, table in tables.items():
        print(f"\n{title}")
        for row in table:
            print(f"  {row_text(row)}")
    corrected_fars = far_without_known_errors(gallery, tables[_ALL])
    print("\nFAR without the known label errors:", corrected_fars)
    mean, error = ten_fold(gallery, _DATA / "lfw_pairs.txt")
    print(f"\n10-fold accuracy on lfw_pairs.txt: {mean:.4f} +- {error:.4f} (standard error)")
    return {
        "pack": pack.name,
        "data": f"LFW development half: {len(set(gallery.people))} people, {len(gallery.images)} images",
        "not_found": len(gallery.failures),
        "impostor_pairs": counts.impostor_pairs,
        "genuine_pairs": counts.genuine_pairs,
        "ten_fold": [mean, error],
        "milliseconds_per_image": milliseconds,
        "far_without_known_errors": corrected_fars,
        "tables": {title: [row._asdict() for row in table] for title, table in tables.items()},
    }


def row_text(row: ScoreRow) -> str:
    target = _TARGETS.get((row.version.value, int(row.score)))
    text = f"{row.version} score {row.score:g}: FAR {row.far}  TAR {row.tar}"
    if target is None:
        return text
    return f"{text}  target {target:g} {'inside' if row.far.low <= target <= row.far.high else 'OUTSIDE'}"


def rows(gallery: Gallery, table: calibration.Calibration) -> tuple[ScoreRow, ...]:
    return evaluate(faces(gallery), count_pairs(gallery.embeddings, gallery.people), table).rows


def faces(gallery: Gallery) -> LabelledFaces:
    return LabelledFaces(gallery.embeddings, gallery.people, [str(image) for image in gallery.images])


def far_without_known_errors(gallery: Gallery, table: Iterable[ScoreRow]) -> dict[str, float]:
    """Return the FAR at each score of 3.0 without the pairs of ``lfw_errors.SAME``."""
    people = np.array(gallery.people)
    cosines = [
        cosine_matrix(gallery.embeddings[people == first], gallery.embeddings[people == second]).ravel()
        for first, second in lfw_errors.SAME
    ]
    excluded = np.concatenate(cosines)
    pairs = count_pairs(gallery.embeddings, gallery.people).impostor_pairs
    return {
        f"{row.score:g}": float(row.far.value * pairs - (excluded >= row.cosine).sum()) / (pairs - len(excluded))
        for row in table
        if row.version.value == "3.0"
    }


def similar_impostors(store: Store, gallery: Gallery, other: str) -> tuple[ListedPairs, PairCounts] | None:
    """Return the pairs of each image with its ten most similar impostors by the pack ``other``, if it is installed."""
    pack = store.pack(other)
    if not store.is_installed(pack):
        return None
    reference = measure(load_settings(), store, pack, _DATA / "lfw").gallery
    row_of_image = {image: row for row, image in enumerate(reference.images)}
    order = [row_of_image.get(image, -1) for image in gallery.images]
    cosines = cosine_matrix(reference.embeddings[order], reference.embeddings[order])
    labels = faces(gallery).labels
    cosines[labels[:, None] == labels[None]] = -2.0
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    directed_pairs = np.stack([np.repeat(np.arange(len(labels)), 10), nearest.ravel()], axis=1)
    pairs = np.unique(np.sort(directed_pairs, axis=1), axis=0).astype(np.intp)
    listed = ListedPairs(pairs, np.zeros(len(pairs), dtype=np.bool_), has_people=True)
    return listed, count_listed_pairs(gallery.embeddings, listed)


def halves(gallery: Gallery) -> Iterable[tuple[str, Gallery, Gallery]]:
    """Yield (title, half to calibrate on, half to measure) both ways, for a random split of the people."""
    people = np.array(gallery.people)
    names = np.random.default_rng(0).permutation(np.unique(people))
    is_in_first = np.isin(people, names[: len(names) // 2])
    first, second = gallery.select(is_in_first), gallery.select(~is_in_first)
    yield "people not used by the calibration, half 1", second, first
    yield "people not used by the calibration, half 2", first, second


def calibrated_on(gallery: Gallery, template: calibration.Calibration) -> calibration.Calibration:
    """Return ``template`` with the points of ``gallery``."""
    counts = count_pairs(gallery.embeddings, gallery.people)
    table = dataclasses.replace(
        template.table(Population.GENERAL),
        impostor=impostor_points(counts),
        genuine=genuine_points(counts),
        impostor_pairs=counts.impostor_pairs,
        genuine_pairs=counts.genuine_pairs,
    )
    return dataclasses.replace(template, populations={Population.GENERAL: table})


def ten_fold(gallery: Gallery, pairs: Path) -> tuple[float, float]:
    """Return mean and standard error of the accuracy at the threshold that is best on the other nine folds."""
    embeddings = {path.name: row for path, row in zip(gallery.images, gallery.embeddings, strict=True)}
    cosines, same = [], []
    for line in pairs.read_text().splitlines():
        name, first, *other, second = line.split()
        files = (f"{name}_{int(first):04d}.jpg", f"{(other or [name])[0]}_{int(second):04d}.jpg")
        a, b = map(embeddings.get, files)
        cosines.append(-1.0 if a is None or b is None else similarity.cosine(a, b))
        same.append(not other)
    cosine, truth = np.array(cosines), np.array(same)
    folds = np.array_split(np.random.default_rng(0).permutation(len(cosine)), 10)
    accuracies = []
    for held_out in folds:
        others = np.setdiff1d(np.arange(len(cosine)), held_out)
        best = max(np.unique(cosine[others]), key=lambda t: np.mean((cosine[others] >= t) == truth[others]))
        accuracies.append(np.mean((cosine[held_out] >= best) == truth[held_out]))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(len(folds)))


if __name__ == "__main__":
    main()
