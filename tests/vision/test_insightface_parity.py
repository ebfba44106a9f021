"""Detection, alignment and embedding give the results of the package insightface on the same model files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.app import FaceAnalysis

from app.domain import Landmarks
from app.packs.manifest import EmbedderSpec, load
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.tools.models.insightface_check import compare_with_insightface
from app.vision.align import align
from app.vision.embed import Embedder
from tests.support import standin

pytestmark = pytest.mark.shared

_MODELS = Path(__file__).resolve().parents[2] / "models"
_FACES = 40


@pytest.fixture(scope="module")
def images(shared: Path) -> list[Path]:
    return sorted((shared / "data/lfw").glob("*/*_0001.jpg"))[::60][:_FACES]


@pytest.fixture(scope="module")
def spec() -> EmbedderSpec:
    """The embedder of insightface's packs, without the average with the mirror image, which insightface lacks."""
    return load(_MODELS / "buffalo_s/pack.toml").embedder.model_copy(update={"mirror": False})


@pytest.mark.usefixtures("without_coverage")
def test_landmarks_and_embeddings_agree_with_those_of_insightface_classes(
    shared: Path, tmp_path: Path, images: list[Path]
) -> None:
    catalogue = standin.installed(shared, tmp_path / "catalogue")
    store = Store(catalogue, catalogue)
    agreement = compare_with_insightface(store, store.pack("standin"), images)
    assert agreement.is_sufficient
    assert agreement.faces >= 2 * _FACES  # each image at two sizes
    assert agreement.pixels < 1e-3


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")
def test_embeddings_agree_with_those_of_face_analysis(
    tmp_path: Path, shared: Path, images: list[Path], spec: EmbedderSpec
) -> None:
    _, embedder_file = standin.weights(shared)
    root = standin.insightface_root(shared, tmp_path)
    face_analysis = FaceAnalysis("standin", root=str(root), providers=["CPUExecutionProvider"])
    face_analysis.prepare(ctx_id=-1, det_size=(320, 320))
    embedder = Embedder(OrtSession.open(embedder_file, "cpu", 1), spec)
    template: Landmarks = np.array(spec.template, dtype=np.float32)
    cosines = []
    for path in images:
        image = np.asarray(cv2.imread(str(path)), dtype=np.uint8)
        face = face_analysis.get(image, max_num=1)[0]
        crop = align(image, face.kps.astype(np.float32), template, spec.input_size)
        cosines.append(float(embedder.embed(crop)[:-1] @ face.normed_embedding))
    assert len(cosines) == _FACES
    assert min(cosines) > 1 - 1e-3
