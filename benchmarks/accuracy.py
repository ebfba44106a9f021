"""Accuracy on the development half of LFW (``../shared/data/lfw``): FAR and TAR at the documented scores.

FAR is shown twice: for the calibration as shipped, and for people that a calibration has not seen (the people are
split in two halves; each half is calibrated on the other). 10-fold accuracy follows the official pairs file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.cli.measure import measure
from app.config import load
from app.domain import FaceModelVersion
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.pairs import count_pairs
from app.scoring.scale import Scale
from app.service.gallery import Gallery
from benchmarks.intervals import clustered_rates

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_TARGETS = {40: 1e-3, 50: 1e-4, 60: 1e-5}


def main() -> None:
    if not (_DATA / "lfw").is_dir():
        print("accuracy: skipped, the folder ../shared/data/lfw is not here")
        return
    settings = load()
    store, pack = Store.configured(settings.models)
    shipped = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    counts, gallery = measure(settings, store, pack, _DATA / "lfw")
    print(
        f"pack {pack.name}: {len(set(gallery.people))} people, {len(gallery.pictures)} pictures, "
        f"{len(gallery.refused)} without a face, {counts.impostor_pairs:,} impostor, {counts.genuine_pairs:,} genuine"
    )
    report("calibration as shipped, all people", shipped, gallery)
    for title, known, unseen in halves(gallery):
        report(title, calibrated_on(known, shipped), unseen)
    mean, error = ten_fold(gallery, _DATA / "lfw_pairs.txt")
    print(f"10-fold accuracy on lfw_pairs.txt: {mean:.4f} +- {error:.4f} (standard error)")


def report(title: str, table: calibration.Calibration, gallery: Gallery) -> None:
    """Print one line per documented score; intervals are 95 %, clustered by person."""
    print(f"\n{title}")
    for version, offset in ((FaceModelVersion.V3, 0), (FaceModelVersion.V2, 30)):
        scale = Scale(table, version)
        for score in (40, 50, 60) if offset else (40, 50, 60, 70, 80):
            far, tar = clustered_rates(gallery.embeddings, gallery.people, scale.cosine(score + offset))
            target = _TARGETS.get(score)
            verdict = "" if target is None else f"  target {target:g} {'inside' if far.holds(target) else 'OUTSIDE'}"
            print(f"  {version} score {score + offset}: FAR {far}  TAR {tar}{verdict}")


def halves(gallery: Gallery) -> list[tuple[str, Gallery, Gallery]]:
    """Split the people at random; return (title, half to calibrate on, half to measure) both ways."""
    people = np.array(gallery.people)
    names = np.random.default_rng(0).permutation(np.unique(people))
    chosen = np.isin(people, names[: len(names) // 2])
    one, two = _part(gallery, chosen), _part(gallery, ~chosen)
    return [("people unseen by the calibration, half 1", two, one), ("half 2", one, two)]


def _part(gallery: Gallery, rows: NDArray[np.bool_]) -> Gallery:
    return Gallery(
        embeddings=gallery.embeddings[rows],
        pictures=tuple(np.array(gallery.pictures)[rows]),
        people=tuple(np.array(gallery.people)[rows]),
        refused={},
    )


def calibrated_on(gallery: Gallery, like: calibration.Calibration) -> calibration.Calibration:
    impostor, genuine = calibration.measured_points(count_pairs(gallery.embeddings, gallery.people))
    return dataclasses.replace(like, impostor=impostor, genuine=genuine)


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
