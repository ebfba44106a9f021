"""FAR and TAR by the width of the face, to choose ``min_face_side`` of a pack.

``python -m benchmarks.face_size [--json FILE]``: 300 genuine and 20,000 impostor pairs of LFW. Photos are shrunk until
the face has the given width, and pasted into a grey image of 250 pixels. "One": only one image of a pair is shrunk.
"Both": both are. A face that is not detected counts as rejected. The limit itself is not applied.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

import cv2
import numpy as np

from app.domain import Embedding, FaceModelVersion, Population
from app.engine import Pipelines, open_pipelines, open_shared_resources
from app.environment import load_settings
from app.errors import ErrorCode
from app.imaging.decode import decode
from app.packs.manifest import Pack
from app.packs.store import Store
from app.scoring import calibration
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.tools.embedding import Outcome, embed
from app.vision.selection import largest_first
from benchmarks import SHARED
from benchmarks.calibrate_packs import PACKS
from benchmarks.tables import table, write_json
from tests.support.images import jpeg
from tests.support.pipelines import detect_all

_WIDTHS = (12, 16, 20, 24, 28, 34, 40, 60)
_GENUINE, _IMPOSTORS = 300, 20_000
_THRESHOLDS = (40, 50)
_SIDE = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (SHARED / "data/lfw").is_dir():
        print("face_size: skipped, ../shared/data/lfw does not exist")
        return
    cv2.setNumThreads(1)
    settings = load_settings()
    store, shared = Store.from_settings(settings.models), open_shared_resources(settings)
    result = {}
    for name in PACKS:
        pack = _without_limit(store.pack(name))
        rows = measure(open_pipelines(settings, store, pack, shared), _scale(store, pack))
        table(name, rows)
        result[name] = rows
    write_json(args.json, result)


def _without_limit(pack: Pack) -> Pack:
    return pack.model_copy(update={"embedder": pack.embedder.model_copy(update={"min_face_side": 1})})


def _scale(store: Store, pack: Pack) -> Scale:
    table = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
    return Scale(table.table(Population.GENERAL), FaceModelVersion.V3)


def measure(pipelines: Pipelines, scale: Scale) -> dict[str, dict[str, object]]:
    """Return the rates of each width of the face, in percent."""
    genuine = genuine_pairs()
    photos = dict.fromkeys(path for pair in genuine for path in pair)
    faces = {path: _face_width(pipelines, path) for path in photos}
    full = {path: embed(pipelines.embedding, path.read_bytes()) for path in photos}
    impostors = impostor_pairs(list(photos))
    rows: dict[str, dict[str, object]] = {}
    for width in _WIDTHS:
        small = {
            path: embed(pipelines.embedding, shrunk(path, width / size)) if size else ErrorCode.NO_FACE_IN_PHOTO
            for path, size in faces.items()
        }
        row: dict[str, object] = {
            "found": _percent(sum(_is_embedding(outcome) for outcome in small.values()) / len(small))
        }
        for name, first in (("one", full), ("both", small)):
            for kind, pairs in (("TAR", genuine), ("FAR", impostors)):
                scores = [_score(scale, first[a], small[b]) for a, b in pairs]
                rates = [_percent(sum(score >= least for score in scores) / len(scores)) for least in _THRESHOLDS]
                row[f"{name}: {kind} at {' / '.join(map(str, _THRESHOLDS))}"] = " / ".join(map(str, rates))
        rows[f"{width} px"] = row
    return rows


def genuine_pairs() -> list[tuple[Path, Path]]:
    """Return the first two images of 300 people."""
    folders = sorted((SHARED / "data/lfw").iterdir())
    pairs = [files for folder in folders if len(files := sorted(folder.glob("*.jpg"))[:2]) > 1]
    return [(a, b) for a, b in pairs[:: len(pairs) // _GENUINE][:_GENUINE]]


def impostor_pairs(photos: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return random pairs of photos of two people."""
    rng = np.random.default_rng(0)
    pairs = ((photos[a], photos[b]) for a, b in rng.integers(len(photos), size=(2 * _IMPOSTORS, 2)))
    return [(a, b) for a, b in pairs if a.parent != b.parent][:_IMPOSTORS]


def shrunk(path: Path, factor: float) -> bytes:
    """Return the photo with its sides multiplied by ``factor``, in the centre of a grey image of 250 pixels."""
    photo = cv2.resize(decode(path.read_bytes()), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    canvas = np.full((_SIDE, _SIDE, 3), 127, np.uint8)
    height, width = photo.shape[:2]
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    canvas[top : top + height, left : left + width] = photo
    return jpeg(canvas, 95)


def _face_width(pipelines: Pipelines, path: Path) -> float:
    """Return the shorter side of the largest face's box in pixels; 0 if there is no face."""
    image, faces = detect_all(pipelines.detection, path.read_bytes())
    return largest_first(faces, image)[0].box.shorter_side if faces else 0.0


def _score(scale: Scale, a: Outcome, b: Outcome) -> float:
    return scale.score(cosine(a, b)) if _is_embedding(a) and _is_embedding(b) else 0.0


def _is_embedding(outcome: Outcome) -> TypeGuard[Embedding]:
    return not isinstance(outcome, ErrorCode)


def _percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    main()
