"""What the benchmark of rotation turns, and with what: pictures of people in couples, and the pipeline of a pack."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Face, FaceModelVersion, Image, Landmarks
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.scoring import calibration
from app.scoring.scale import Scale
from app.vision.align import align
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.rotation import Rotation
from app.vision.search import ConfidenceThresholds, refine_landmarks
from app.vision.selection import NoFaceError
from tests.support.pipelines import detect_target

SHARED = Path(__file__).resolve().parents[3] / "shared"
NEAR = 0.25
"""Mean error of the landmarks, in distances of the eyes, up to which a face is found as it stands."""


class Counted:
    """A detector that counts its detections."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.count = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.count += 1
        return self._detector.detect(image, side)


class Pipeline:
    """EncodedImage -> chosen face -> embedding, as the service does it."""

    def __init__(self, store: Store, pack: Pack) -> None:
        store.build_missing(pack)
        files = store.resolve(pack)
        session = OrtSession.open(files[pack.detector.file], "cpu", 1)
        self.detector = Counted(DETECTORS[pack.detector.family](session, pack.detector))
        self._trust = ConfidenceThresholds.of(pack.detector)
        self._close_up = pack.detector.landmark_crop
        self._embedder = Embedder(OrtSession.open(files[pack.embedder.file], "cpu", 1), pack.embedder)
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side = pack.embedder.input_size
        of = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
        self._scale = Scale(of, FaceModelVersion.V3)

    def face(self, image: Image, *, rotate: bool) -> Face | None:
        try:
            face = detect_target(self.detector, image, self._trust, rotate=rotate)
        except NoFaceError:
            return None
        return refine_landmarks(self.detector, image, face, self._close_up)

    def score(self, one: tuple[Image, Face], other: tuple[Image, Face]) -> float:
        first, second = (
            self._embedder.embed(align(image, face.landmarks, self._template, self._side))
            for image, face in (one, other)
        )
        return self._scale.score(float(first @ second))


class Couple(NamedTuple):
    """Two pictures of a person: one to turn, one that stays."""

    turned: Path
    other: Path


def lfw_couples(people: int, seed: int) -> list[Couple]:
    folders = [sorted(folder.glob("*.jpg")) for folder in sorted((SHARED / "data/lfw").iterdir()) if folder.is_dir()]
    several = [paths for paths in folders if len(paths) > 1]
    chosen = np.random.default_rng(seed).permutation(len(several))[:people]
    return [Couple(*several[row][:2]) for row in chosen]


def london_couples() -> list[Couple]:
    folders = sorted(path for path in (SHARED / "data/london").iterdir() if path.is_dir())
    pairs = [tuple(sorted(folder.glob("*.jpg"))) for folder in folders]
    return [Couple(*pair) for one, two in pairs for pair in ((one, two), (two, one))]


def turned(image: Image, landmarks: Landmarks | None, degrees: float) -> tuple[Image, Landmarks]:
    """The picture turned clockwise, and its landmarks."""
    turn = Rotation.of(image, degrees)
    points = np.zeros((5, 2), np.float32) if landmarks is None else landmarks
    return turn.apply(image), (points @ turn.matrix[:, :2].T + turn.matrix[:, 2]).astype(np.float32)


def error(landmarks: Landmarks, expected: Landmarks) -> float:
    """Mean distance, in distances of the eyes."""
    eyes = float(np.hypot(*(expected[1] - expected[0])))
    return float(np.hypot(*(landmarks - expected).T).mean()) / eyes


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)
