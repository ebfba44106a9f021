"""Our alignment and embedding of a face give what ``insightface.app.FaceAnalysis`` gives, on the same files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Landmarks
from app.packs.manifest import EmbedderSpec, load
from app.runtime.session import OrtSession
from app.vision.align import align
from app.vision.embed import Embedder
from tests.support.standin import insightface_root, weights

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")]

_MODELS = Path(__file__).resolve().parents[2] / "models"
_FACES = 100


@pytest.fixture(scope="module")
def spec() -> EmbedderSpec:
    """The record of insightface's packs; insightface does not average with the mirror image."""
    return load(_MODELS / "buffalo_s/pack.toml").embedder.model_copy(update={"mirror": False})


def test_embeddings_agree_with_those_of_face_analysis(tmp_path: Path, shared: Path, spec: EmbedderSpec) -> None:
    from insightface.app import FaceAnalysis  # noqa: PLC0415 - takes a second

    _, embedding_pipeline = weights(shared)
    root = insightface_root(shared, tmp_path)
    theirs = FaceAnalysis("standin", root=str(root), providers=["CPUExecutionProvider"])
    theirs.prepare(ctx_id=-1, det_size=(320, 320))
    ours = Embedder(OrtSession.open(embedding_pipeline, "cpu", 1), spec)
    template: Landmarks = np.array(spec.template, dtype=np.float32)
    cosines = []
    for picture in sorted((shared / "data/lfw").glob("*/*_0001.jpg"))[::25][:_FACES]:
        image = np.asarray(cv2.imread(str(picture)), dtype=np.uint8)
        face = theirs.get(image, max_num=1)[0]
        crop = align(image, face.kps.astype(np.float32), template, spec.input_size)
        cosines.append(float(ours.embed(crop) @ face.normed_embedding))
    assert len(cosines) == _FACES
    assert min(cosines) > 1 - 1e-3
