"""What the cap in dlib's network gives (``app/packs/convert/dlib.py``), on the development half of LFW (``../shared``).

Every face is embedded with and without it, and by the pack ``omz``. At the thresholds that have each FAR for all pairs:
FAR and TAR among those faces that reach the cap and those that do not. ``--json FILE`` keeps the numbers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from tqdm import tqdm

from app.domain import Crop, Embedding
from app.engine import open_local_pipelines, open_pipelines, open_shared_models
from app.environment import load_settings
from app.packs.store import Store
from app.runtime.session import Tensor
from app.runtime.worker_pool import ThreadBudget
from app.scoring.pairs import count_pairs
from app.service.face_pipeline import EmbeddingPipeline
from app.service.quality_gate import QualityGate
from app.tools.evaluation.gallery import Gallery, embed_pictures, list_pictures
from app.vision.embed import Embedder
from benchmarks.int8 import with_int8
from benchmarks.tables import table

_LFW = Path(__file__).resolve().parents[2] / "shared" / "data" / "lfw"
_FARS = (1e-3, 1e-4, 1e-5)
_PEAKS = ((0.0, 6.0), (6.0, 8.0), (8.0, np.inf))
"""Up to how much the block gives out for a face: the first are those that the cap leaves as they are."""


class Tapped:
    """dlib's network without the cap; ``peak`` is the most that the block gave out in the last run."""

    def __init__(self, capped: Path) -> None:
        model = onnx.load(capped)
        (clip,) = [node for node in model.graph.node if node.op_type == "Clip"]
        relu = onnx.helper.make_node("Relu", [clip.input[0]], list(clip.output), name=clip.name)
        clip.CopyFrom(relu)
        model.graph.output.append(onnx.helper.make_tensor_value_info(relu.output[0], onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.peak = 0.0

    def run(self, batch: Tensor) -> list[Tensor]:
        embeddings, block = self._session.run(None, {"image": batch})
        self.peak = float(block.max())
        return [embeddings]


class Both(Embedder):
    """Embeds with the cap and without; the two embeddings and the peak, one after the other."""

    def __init__(self, capped: Embedder, plain: Embedder, network: Tapped) -> None:
        self._capped, self._plain, self._network = capped, plain, network

    def embed(self, crop: Crop) -> Embedding:
        both = [self._capped.embed(crop), self._plain.embed(crop)]
        return np.array([*np.concatenate(both), self._network.peak], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="look at every n-th picture only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not _LFW.is_dir():
        print("cap: skipped, the folder ../shared/data/lfw is not here")
        return
    gallery = look(list_pictures(_LFW)[:: args.every])
    peaks, half = gallery.embeddings[:, -1], gallery.embeddings.shape[1] // 2
    ways = {
        "with the cap": gallery.embeddings[:, :half],
        "without the cap": gallery.embeddings[:, half:-1],
        "omz": by_omz(list(gallery.pictures)).embeddings,
    }
    result = {name: groups(embeddings, gallery.people, peaks) for name, embeddings in ways.items()}
    for name, rows in result.items():
        table(f"{name}, peaks", rows)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def look(pictures: list[Path]) -> Gallery:
    """Embed ``pictures`` both ways: rows of 2 D + 1."""
    settings, budget = with_int8(load_settings(), int8=False), ThreadBudget(workers=1, intra_op=1)
    store = Store.of(settings.models)
    pack = store.pack("open")
    shared = open_shared_models(settings, budget)
    pipelines = open_pipelines(settings, store, pack, shared)
    network = Tapped(store.resolve(pack)[pack.embedder.file])
    capped = Embedder(pipelines.networks[pack.embedder.file].session, pack.embedder)
    both = Both(capped, Embedder(network, pack.embedder), network)
    judge, strategy = QualityGate(shared.assessor, settings.quality.policy), settings.compare.matching_strategy
    return embed_pictures(EmbeddingPipeline(pipelines.detection, judge, both, pack, strategy), pictures, 1, tqdm)


def by_omz(pictures: list[Path]) -> Gallery:
    """Embed the same ``pictures``, which all have a face to it, too, by the other pack."""
    settings, budget = load_settings(), ThreadBudget(workers=1, intra_op=1)
    store = Store.of(settings.models)
    embedding_pipeline = open_local_pipelines(settings, store, store.pack("omz"), budget).embedding
    gallery = embed_pictures(embedding_pipeline, pictures, 1, tqdm)
    if gallery.refused:
        raise RuntimeError(f"no face in {len(gallery.refused)} pictures, which others are now compared with")
    return gallery


def groups(
    embeddings: NDArray[np.float32], people: tuple[str, ...], peaks: NDArray[np.float32]
) -> dict[str, dict[str, object]]:
    """Return, for all faces and for each group of peaks, the FAR and TAR at the cosines that have each FAR for all."""
    counts = count_pairs(embeddings, people)
    rows: dict[str, dict[str, object]] = {}
    for low, high in ((0.0, np.inf), *_PEAKS):
        chosen = np.flatnonzero((peaks > low) & (peaks <= high))
        of = [people[index] for index in chosen]
        part = count_pairs(embeddings[chosen], of)
        row: dict[str, object] = {"faces": len(chosen), "people": len(set(of)), "strangers": part.impostor_pairs}
        for far in _FARS:
            cosine = counts.cosine_at_far(far)
            row |= {f"FAR at {far:g}": f"{part.far(cosine):.2e}", f"TAR at {far:g}": f"{part.tar(cosine):.3f}"}
        rows[f"{low:g} to {high:g}"] = row
    return rows


if __name__ == "__main__":
    main()
