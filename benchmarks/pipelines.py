"""The pipeline of a pack on one thread, the installed detectors, and pairs of images of one person."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Embedding, Face, FaceModelVersion, Image, Population
from app.engine import open_degradation_model
from app.packs.convert import onnx_graph
from app.packs.manifest import DetectorSpec, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.scoring import calibration
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.vision.align import align
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.search import refine_landmarks, refine_upright_landmarks
from app.vision.selection import NoFaceError
from benchmarks import SHARED
from tests.support.detectors import CountingDetector
from tests.support.pipelines import detect_target


class Pipeline:
    """Decoded image -> target face -> embedding, as the service computes it."""

    def __init__(self, store: Store, pack: Pack) -> None:
        store.build_missing(pack)
        files = store.resolve(pack)
        session = OrtSession.open(files[pack.detector.file], "cpu", 1)
        self.detector = CountingDetector(DETECTORS[pack.detector.family](session, pack.detector))
        self._spec = pack.detector
        self._embedder = Embedder(
            OrtSession.open(files[pack.embedder.file], "cpu", 1), pack.embedder, open_degradation_model(store, pack)
        )
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side = pack.embedder.input_size
        measured = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
        self._scale = Scale(measured.table(Population.GENERAL), FaceModelVersion.V3)

    def face(self, image: Image, *, rotate: bool, is_upright_required: bool = True) -> Face | None:
        """Return the target face with refined landmarks; without ``rotate``, only if it stands upright."""
        try:
            face = detect_target(self.detector, image, self._spec, rotate=rotate)
            if not rotate and is_upright_required:
                return refine_upright_landmarks(self.detector, image, face, self._spec)
        except NoFaceError:
            return None
        return refine_landmarks(self.detector, image, face, self._spec.landmark_crop)

    def embed(self, image: Image, face: Face) -> Embedding:
        return self._embedder.embed(align(image, face.landmarks, self._template, self._side))

    def score(self, first: tuple[Image, Face], second: tuple[Image, Face]) -> float:
        return self.embedding_score(self.embed(*first), self.embed(*second))

    def embedding_score(self, first: Embedding | None, second: Embedding | None) -> float:
        """Return the score, or -1 if an embedding is missing."""
        return -1.0 if first is None or second is None else self._scale.score(cosine(first, second))


class ImagePair(NamedTuple):
    """Two images of one person: one to rotate, and another."""

    rotated: Path
    other: Path


def lfw_pairs(people: int, seed: int) -> list[ImagePair]:
    folders = [sorted(folder.glob("*.jpg")) for folder in sorted((SHARED / "data/lfw").iterdir()) if folder.is_dir()]
    people_with_two = [paths for paths in folders if len(paths) > 1]
    chosen = np.random.default_rng(seed).permutation(len(people_with_two))[:people]
    return [ImagePair(*people_with_two[row][:2]) for row in chosen]


def london_pairs() -> list[ImagePair]:
    folders = sorted(path for path in (SHARED / "data/london").iterdir() if path.is_dir())
    pairs = [tuple(sorted(folder.glob("*.jpg"))) for folder in folders]
    return [ImagePair(*pair) for a, b in pairs for pair in ((a, b), (b, a))]


def detectors(store: Store, pack: Pack) -> dict[str, tuple[Detector, DetectorSpec]]:
    """Return detectors and their specifications by pack: that of ``pack``, and published files that exist."""
    opened = {pack.name: _open(store, pack, store.resolve(pack)[pack.detector.file].read_bytes())}
    others = {"opencv": "yunet/face_detection_yunet_2023mar.onnx", "buffalo_m": "insightface/det_2.5g.onnx"}
    for name, file in others.items():
        if name != pack.name and (SHARED / "models" / file).is_file():
            content = (SHARED / "models" / file).read_bytes()
            opened[name] = _open(store, store.pack(name), onnx_graph.clean(content) if name == "opencv" else content)
    return opened


def _open(store: Store, pack: Pack, content: bytes) -> tuple[Detector, DetectorSpec]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / pack.detector.file
        path.write_bytes(content)
        return DETECTORS[pack.detector.family](OrtSession.open(path, "cpu", 1), pack.detector), pack.detector


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)
