"""Accuracy on the same weights: the service made by hand around insightface, and ours (LFW, ``../shared``).

Each has the threshold at which its own false-accept rate is 1e-4, over all pairs of the pictures in which both find a
face. TAR with its 95 % interval at that threshold, clustered by person. ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from fastapi import HTTPException
from tqdm import tqdm

from app.domain import Embedding
from app.environment import load_settings
from app.packs.store import Store
from app.scoring.intervals import clustered
from app.scoring.pairs import count_pairs
from app.tools.evaluation.gallery import list_pictures
from app.tools.evaluation.measure import measure
from benchmarks.subjects import BASELINE, SHARED, STANDIN
from benchmarks.tables import table
from tests.support import standin

_LFW = SHARED / "data" / "lfw"
_FAR = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not _LFW.is_dir():
        print("same weights: skipped, the folder ../shared/data/lfw is not here")
        return
    with TemporaryDirectory() as folder:
        both = {BASELINE: dict(by_hand(list_pictures(_LFW), Path(folder))), STANDIN: ours(Path(folder))}
    rows = compare(both)
    table("LFW", rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def by_hand(pictures: list[Path], folder: Path) -> Iterator[tuple[Path, Embedding]]:
    """Yield what the function of the service makes of each picture in which it finds a face."""
    os.environ["INSIGHTFACE_ROOT"] = str(standin.insightface_root(SHARED, folder / "insightface"))
    from benchmarks.baseline import service  # noqa: PLC0415 - it loads its models at once

    for path in tqdm(pictures, disable=None):
        try:
            yield path, service.embed(base64.b64encode(path.read_bytes()).decode())
        except HTTPException:
            continue


def ours(folder: Path) -> Mapping[Path, Embedding]:
    made = standin.installed(SHARED, folder / "catalogue")
    store = Store(made, made)
    gallery = measure(load_settings(), store, store.pack(STANDIN), _LFW).gallery
    return dict(zip(gallery.pictures, gallery.embeddings, strict=True))


def compare(both: Mapping[str, Mapping[Path, Embedding]]) -> dict[str, dict[str, object]]:
    """Return a row for each, of the pictures that all have."""
    pictures = sorted(set.intersection(*map(set, both.values())))
    people = [path.parent.name for path in pictures]
    rows: dict[str, dict[str, object]] = {}
    for name, found in both.items():
        embeddings = np.stack([found[path] for path in pictures])
        counts = count_pairs(embeddings, people)
        threshold = counts.cosine_at_far(_FAR)
        (rates,) = clustered(embeddings, people, [threshold])
        rows[name] = {
            "compared": len(pictures),
            "found": len(found),
            "impostor pairs": counts.impostor_pairs,
            "genuine pairs": counts.genuine_pairs,
            "cosine": round(threshold, 4),
            "FAR": str(rates.far),
            "TAR": str(rates.tar),
        }
    return rows


if __name__ == "__main__":
    main()
