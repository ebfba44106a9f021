"""What dlib's network in 8-bit integers gives, beside itself in float32 (development half of LFW, ``../shared``).

At the scores' thresholds, which are those of float32: FAR and TAR with 95 % intervals; and how alike a face's two
embeddings are. ``--json FILE`` keeps the numbers. ``--ranges`` prints instead what ``app/packs/convert/dlib_int8.py`` records:
between which values the tensors lie for the six people of insightface's ``t1.jpg``, and a quarter more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

from app.domain import FaceModelVersion
from app.engine import open_local_pipelines
from app.environment import Settings, load_settings
from app.ops.stage_timer import StageTimer
from app.packs.convert.dlib_int8 import RANGES
from app.packs.convert.int8 import Range
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import Tensor
from app.runtime.worker_pool import ThreadBudget
from app.scoring import calibration
from app.scoring.intervals import clustered
from app.scoring.scale import Scale
from app.service.face_pipeline import FaceDetectionPipeline, TargetFace
from app.tools.evaluation.gallery import Gallery
from app.tools.evaluation.measure import measure
from app.vision.align import align
from app.vision.embed import blob
from benchmarks.tables import table
from tests.support.images import cast
from tests.support.pipelines import detect_all

_LFW = Path(__file__).resolve().parents[2] / "shared" / "data" / "lfw"
_SCORES = (40.0, 50.0, 60.0)
_USUAL = 50.0
_HEADROOM = 1.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranges", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    settings = load_settings()
    store = Store.of(settings.models)
    pack = store.pack("open")
    if args.ranges:
        for name, (low, high) in measured_ranges(settings, store, pack).items():
            print(f'    "{name}": ({low:.2f}, {high:.2f}),')
    elif not _LFW.is_dir():
        print("int8: skipped, the folder ../shared/data/lfw is not here")
    else:
        result = compare(settings, store, pack)
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def compare(settings: Settings, store: Store, pack: Pack) -> dict[str, object]:
    """Embed all faces by both networks, print a table, return the numbers."""
    scale = Scale(calibration.load(store.calibration_path(pack.name), pack.embedder_sha256), FaceModelVersion.V3)
    thresholds = [scale.cosine(score) for score in _SCORES]
    both = [measure(with_int8(settings, int8=int8), store, pack, _LFW).gallery for int8 in (False, True)]
    rows = {
        name: {
            f"{what} at {score:g}": str(rate)
            for score, rates in zip(_SCORES, clustered(each.embeddings, each.people, thresholds), strict=True)
            for what, rate in rates._asdict().items()
        }
        for name, each in zip(("float32", "int8"), both, strict=True)
    }
    table("LFW", rows)
    cosines = np.einsum("ij,ij->i", both[0].embeddings, both[1].embeddings)
    alike = {"mean": float(cosines.mean()), "least": float(cosines.min()), "faces": len(cosines)}
    print("\ncosine of a face's two embeddings:", alike)
    moved = moves(both[0], both[1], scale)
    print("\nscores of pairs of one person:", moved)
    return {"rates": rows, "cosine": alike, "scores_of_one_person": moved}


def moves(one: Gallery, other: Gallery, scale: Scale) -> dict[str, float]:
    """Return by how much the scores of pairs of one person differ, and how many change sides at 50."""
    people = np.array(one.people)
    a, b = np.nonzero(np.triu(people[:, None] == people[None], 1))
    before, after = (
        np.array([scale.score(cosine) for cosine in np.einsum("ij,ij->i", each.embeddings[a], each.embeddings[b])])
        for each in (one, other)
    )
    points = np.abs(after - before)
    return {
        "pairs": len(a),
        "mean": float(points.mean()),
        "one_of_twenty": float(np.quantile(points, 0.95)),
        "most": float(points.max()),
        "change_sides_at_50": float(((before >= _USUAL) != (after >= _USUAL)).mean()),
        "of_these_accepted_now": float(((before < _USUAL) & (after >= _USUAL)).mean()),
    }


def with_int8(settings: Settings, *, int8: bool) -> Settings:
    """Return ``settings`` with that one set."""
    return settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"int8": int8})})


def measured_ranges(settings: Settings, store: Store, pack: Pack) -> Mapping[str, Range]:
    """Return the ranges of the tensors that have one, as six faces and their mirror images show them, and widened."""
    spec, one_thread = pack.embedder, ThreadBudget(workers=1, intra_op=1)
    pipelines = open_local_pipelines(settings, store, pack, one_thread)
    low, high = ((level - np.array(spec.mean)) / spec.std for level in (0, 255))
    found = {"image": (float(low.min()), float(high.max()))}
    inner = [name for name in RANGES if name not in found]
    model = onnx.load(store.resolve(pack)[spec.file])
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inner)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(inner, {"image": np.concatenate(list(blobs(pipelines.detection, pack)))})
    return found | {
        name: (_HEADROOM * float(value.min()), _HEADROOM * float(value.max()))
        for name, value in zip(inner, values, strict=True)
    }


def blobs(detection: FaceDetectionPipeline, pack: Pack) -> Iterator[Tensor]:
    """Yield what the network is shown of each of the six."""
    spec = pack.embedder
    file = cv2.imencode(".png", cast())[1].tobytes()
    image, faces = detect_all(detection, file)
    for face in faces:
        if face.confidence >= pack.detector.selection_confidence:
            target = TargetFace(image, face, 1)
            landmarks = detection.refine_landmarks(target, StageTimer.after(60)).landmarks
            yield blob(align(image, landmarks, np.array(spec.template, np.float32), spec.input_size), spec)


if __name__ == "__main__":
    main()
