"""Impostor and genuine pairs whose images are degraded alike, with and without the correction of the cosine.

Two photos of each of 240 people of LFW, to whom the network was not fitted. Both images of a pair are degraded alike. A
pair in which a face is not found counts as rejected. Good images follow: how much the correction changes the scores of
the same half of LFW, and of London. ``--json FILE`` writes the numbers.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion, Population
from app.environment import load_settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.scoring.similarity import cosine_matrix, pair_cosines
from benchmarks import SHARED
from benchmarks.calibrate_packs import PACKS
from benchmarks.tables import write_json
from models.quality.train.degradations import HARMLESS, HELD_OUT, LEARNED
from models.quality.train.degraded import DegradedPhotos, Photo
from models.quality.train.faces import detect_faces, is_held_out

_PEOPLE = 240
_SCORES = (40, 50, 60)
_KINDS = {"learned": LEARNED, "held out": HELD_OUT, "harmless": HARMLESS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data" / "lfw").is_dir():
        print("degradation: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    store = Store.from_settings(load_settings().models)
    photos = _photos()
    write_json(args.json, {name: run(store, store.pack(name), photos) for name in PACKS})


def run(store: Store, pack: Pack, photos: list[Photo]) -> dict[str, object]:
    """Measure one pack, print its rates, return the numbers."""
    degraded = DegradedPhotos(store, pack, photos)
    table = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    scale = Scale(table.table(Population.GENERAL), FaceModelVersion.V3)
    rows = []
    for group, kinds in _KINDS.items():
        for name, kind in kinds.items():
            row = {"group": group, "kind": name} | _rates(degraded.embeddings(kind), degraded.people, scale)
            print(pack.name, row, flush=True)
            rows.append(row)
    changes = {title: _change(store, pack, title, scale) for title in ("lfw", "london")}
    print(pack.name, changes, flush=True)
    return {"rows": rows, "change_of_good_images": changes}


def _photos() -> list[Photo]:
    by_person = defaultdict(list)
    for face in detect_faces("lfw"):
        if is_held_out(face.name):
            by_person[Path(face.name).parts[0]].append(face)
    pairs = [faces[:2] for faces in by_person.values() if len(faces) > 1][:_PEOPLE]
    return [Photo.of(face) for faces in pairs for face in faces]


def _rates(embeddings: NDArray[np.float32], people: NDArray[np.str_], scale: Scale) -> dict[str, object]:
    """Return the accepted shares at ``_SCORES`` among impostor and genuine pairs, before and after the correction."""
    found = np.isfinite(embeddings[:, 0])
    same = people[:, None] == people[None]
    upper = np.triu(np.ones_like(same), 1)
    row: dict[str, object] = {"found": float(found.mean()), "impostor_pairs": int((upper & ~same).sum())}
    uncorrected = np.append(embeddings[:, :-1], np.zeros((len(embeddings), 1), np.float32), axis=1)
    for title, vectors in (("before", uncorrected), ("after", embeddings)):
        cosines = np.nan_to_num(cosine_matrix(vectors, vectors), nan=-2.0)
        for pairs, mask in (("far", upper & ~same), ("tar", upper & same)):
            row[f"{pairs}_{title}"] = [float((cosines[mask] >= scale.cosine(score)).mean()) for score in _SCORES]
    row["median_degradation"] = float(np.median(embeddings[found, -1])) if found.any() else None
    return row


def _change(store: Store, pack: Pack, folder: str, scale: Scale) -> dict[str, float]:
    """Return the mean change of the scores of genuine and of random impostor pairs, and the share of changed scores."""
    faces = [face for face in detect_faces(folder) if folder != "lfw" or is_held_out(face.name)]
    photos = DegradedPhotos(store, pack, [Photo.of(face) for face in faces])
    embeddings = photos.embeddings(HARMLESS["none"])
    rows = np.flatnonzero(np.isfinite(embeddings[:, 0]))
    same = photos.people[rows, None] == photos.people[None, rows]
    genuine = np.argwhere(np.triu(same, 1))
    impostor = np.argwhere(np.triu(~same, 1))
    impostor = np.random.default_rng(0).permutation(impostor)[: len(genuine)]
    return {
        f"{statistic}_{title}": value
        for title, pairs in (("genuine", genuine), ("impostor", impostor))
        for statistic, value in _statistics(embeddings[rows[pairs[:, 0]]], embeddings[rows[pairs[:, 1]]], scale)
    }


def _statistics(first: NDArray[np.float32], second: NDArray[np.float32], scale: Scale) -> Iterable[tuple[str, float]]:
    after = np.array([scale.score(value) for value in pair_cosines(first, second)])
    before = np.array([scale.score(value) for value in np.einsum("ij,ij->i", first[:, :-1], second[:, :-1])])
    yield "mean", float(np.abs(after - before).mean())
    yield "share_changed", float((after != before).mean())


if __name__ == "__main__":
    main()
