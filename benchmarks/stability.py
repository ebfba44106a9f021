"""How much harmless changes of one image move the score of a genuine pair.

One image of each of 300 genuine pairs of LFW is changed. For each change: mean and 95th percentile of the change of the
score, and the decisions that flip at 50 and at 80. "Before" is one view of the face (``omz``) and one refinement of the
landmarks (``open``), "after" the shipped packs. ``--json FILE`` writes the numbers.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion, Image, Population
from app.engine import open_pipelines, open_shared_resources
from app.environment import load_settings
from app.errors import ErrorCode
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.embedding import Outcome, embed
from benchmarks import SHARED
from benchmarks.calibrate_packs import PACKS
from benchmarks.tables import write_json
from models.quality.train.degrade import jpeg
from models.quality.train.faces import is_held_out

_PAIRS = 300
_THRESHOLDS = (50, 80)


def _resized(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA), np.uint8)


def _brighter(image: Image) -> Image:
    return np.asarray(np.clip(image * 1.1, 0, 255), np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "JPEG quality 60": lambda image: jpeg(image, 60),
    "resized to 75 %": _resized,
    "border of 8 px cropped": lambda image: np.asarray(image[8:-8, 8:-8]),
    "10 % brighter": _brighter,
    "mirrored": lambda image: np.asarray(image[:, ::-1]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data" / "lfw").is_dir():
        print("stability: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    store = Store.from_settings(load_settings().models)
    shipped = {name: store.pack(name) for name in PACKS}
    write_json(
        args.json,
        {
            "before": {name: run(store, _without_stabilisation(pack)) for name, pack in shipped.items()},
            "after": {name: run(store, pack) for name, pack in shipped.items()},
        },
    )


def _without_stabilisation(pack: Pack) -> Pack:
    changes = {
        "embedder": pack.embedder.model_copy(update={"mirror": pack.name == "open"}),
        "detector": pack.detector.model_copy(
            update={"landmark_crop": pack.detector.landmark_crop.model_copy(update={"detections": 1})}
        ),
    }
    return pack.model_copy(update=changes)


def run(store: Store, pack: Pack) -> list[dict[str, object]]:
    """Measure one pack, print its changes, return the numbers."""
    settings = load_settings()
    pipeline = open_pipelines(settings, store, pack, open_shared_resources(settings)).embedding
    table = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    scale = Scale(table.table(Population.GENERAL), FaceModelVersion.V3)
    pairs = _pairs()
    second = [_embed(pipeline, image) for _, image in pairs]
    before = _scores(scale, [_embed(pipeline, image) for image, _ in pairs], second)
    rows = []
    for name, change in CHANGES.items():
        after = _scores(scale, [_embed(pipeline, np.ascontiguousarray(change(image))) for image, _ in pairs], second)
        moved = np.abs(after - before)
        flips = [int(((after >= threshold) != (before >= threshold)).sum()) for threshold in _THRESHOLDS]
        row = {"change": name, "pairs": int(np.isfinite(moved).sum()), "mean": float(np.nanmean(moved))}
        row |= {"percentile_95": float(np.nanpercentile(moved, 95)), "flips": flips}
        print(pack.name, row, flush=True)
        rows.append(row)
    return rows


def _pairs() -> list[tuple[Image, Image]]:
    """Return the first two images of people who were not used for learning."""
    people = [sorted(folder.glob("*.jpg"))[:2] for folder in sorted((SHARED / "data" / "lfw").iterdir())]
    pairs = [files for files in people if len(files) > 1 and is_held_out(f"{files[0].parent.name}/{files[0].name}")]
    chosen = np.random.default_rng(0).permutation(len(pairs))[:_PAIRS]
    first, second = ([np.asarray(cv2.imread(str(pairs[index][side])), np.uint8) for index in chosen] for side in (0, 1))
    return list(zip(first, second, strict=True))


def _embed(pipeline: EmbeddingPipeline, image: Image) -> Outcome:
    return embed(pipeline, cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def _scores(scale: Scale, first: list[Outcome], second: list[Outcome]) -> NDArray[np.float64]:
    """Return the score of each pair, NaN if a face is not found."""
    return np.array(
        [
            np.nan if isinstance(a, ErrorCode) or isinstance(b, ErrorCode) else scale.score(cosine(a, b))
            for a, b in zip(first, second, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
