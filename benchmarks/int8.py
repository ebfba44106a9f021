"""The int8 model of a pack against float32, on the development half of LFW.

Prints FAR and TAR with 95 % intervals at the thresholds of float32, and the cosine of a face's two embeddings.
``--json FILE`` writes the numbers. ``--ranges`` prints the activation ranges that ``app/packs/convert/dlib_int8.py``
records; ``benchmarks.int8_ranges`` prints those of `omz`.
"""

import argparse
from pathlib import Path

import numpy as np

from app.domain import FaceModelVersion, Population
from app.environment import Settings, load_settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.scoring.similarity import pair_cosines
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.intervals import rates_over_all_pairs
from app.tools.evaluation.measure import measure
from benchmarks import SHARED
from benchmarks.accuracy import faces
from benchmarks.tables import table, write_json
from tests.support.int8_ranges import measured_ranges

_LFW = SHARED / "data/lfw"
_SCORES = (40.0, 50.0, 60.0)
_THRESHOLD = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", nargs="?", default="open")
    parser.add_argument("--ranges", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = load_settings()
    store = Store.from_settings(settings.models)
    pack = store.pack(args.pack)
    if args.ranges:
        for name, (low, high) in measured_ranges(settings, store, pack).items():
            print(f'    "{name}": ({low:.2f}, {high:.2f}),')
    elif not _LFW.is_dir():
        print("int8: skipped, ../shared/data/lfw does not exist")
    else:
        write_json(args.json, compare(settings, store, pack))


def compare(settings: Settings, store: Store, pack: Pack) -> dict[str, object]:
    """Embed all faces with both models, print a table, return the numbers."""
    measured = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    scale = Scale(measured.table(Population.GENERAL), FaceModelVersion.V3)
    thresholds = [scale.cosine(score) for score in _SCORES]
    galleries = [measure(with_int8(settings, int8=int8), store, pack, _LFW).gallery for int8 in (False, True)]
    rows = {
        name: {
            f"{rate_name} at {score:g}": str(rate)
            for score, rates in zip(_SCORES, rates_over_all_pairs(faces(gallery), thresholds), strict=True)
            for rate_name, rate in rates._asdict().items()
        }
        for name, gallery in zip(("float32", "int8"), galleries, strict=True)
    }
    table("LFW", rows)
    cosines = pair_cosines(*(gallery.embeddings for gallery in galleries))
    agreement = {"mean": float(cosines.mean()), "minimum": float(cosines.min()), "faces": len(cosines)}
    print("\ncosine of a face's two embeddings:", agreement)
    changes = score_changes(galleries[0], galleries[1], scale)
    print("\nscore changes of genuine pairs:", changes)
    return {"rates": rows, "cosine": agreement, "score_changes": changes}


def score_changes(float32: Gallery, int8: Gallery, scale: Scale) -> dict[str, float]:
    """Return the differences between the scores of genuine pairs, and the share of changed decisions at 50."""
    people = np.array(float32.people)
    a, b = np.nonzero(np.triu(people[:, None] == people[None], 1))
    before, after = (
        np.array(list(map(scale.score, pair_cosines(embeddings[a], embeddings[b]))))
        for embeddings in (float32.embeddings, int8.embeddings)
    )
    points = np.abs(after - before)
    return {
        "pairs": len(a),
        "mean": float(points.mean()),
        "percentile_95": float(np.quantile(points, 0.95)),
        "maximum": float(points.max()),
        "decisions_changed_at_50": float(((before >= _THRESHOLD) != (after >= _THRESHOLD)).mean()),
        "newly_accepted_at_50": float(((before < _THRESHOLD) & (after >= _THRESHOLD)).mean()),
    }


def with_int8(settings: Settings, *, int8: bool) -> Settings:
    """Return ``settings`` with the int8 model on or off."""
    return settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"int8": int8})})


if __name__ == "__main__":
    main()
