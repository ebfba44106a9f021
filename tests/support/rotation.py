"""Rotated images with known landmarks, pairs of images of one person, and the pipeline of a pack on one thread."""

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
from app.vision.search import refine_landmarks
from app.vision.selection import NoFaceError
from tests.support.pipelines import detect_target

SHARED = Path(__file__).resolve().parents[3] / "shared"
MAX_LANDMARK_ERROR = 0.25
"""Mean landmark error, in eye distances, up to which a face counts as found."""


class CountingDetector:
    """A detector that counts its calls."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.count = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.count += 1
        return self._detector.detect(image, side)


class Pipeline:
    """Decoded image -> target face -> embedding, as the service computes it."""

    def __init__(self, store: Store, pack: Pack) -> None:
        store.build_missing(pack)
        files = store.resolve(pack)
        session = OrtSession.open(files[pack.detector.file], "cpu", 1)
        self.detector = CountingDetector(DETECTORS[pack.detector.family](session, pack.detector))
        self._spec = pack.detector
        self._landmark_crop = pack.detector.landmark_crop
        self._embedder = Embedder(OrtSession.open(files[pack.embedder.file], "cpu", 1), pack.embedder)
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side = pack.embedder.input_size
        table = calibration.load(store.calibration_path(pack.name), pack.embedder_sha256)
        self._scale = Scale(table, FaceModelVersion.V3)

    def face(self, image: Image, *, rotate: bool) -> Face | None:
        try:
            face = detect_target(self.detector, image, self._spec, rotate=rotate)
        except NoFaceError:
            return None
        return refine_landmarks(self.detector, image, face, self._landmark_crop)

    def score(self, first: tuple[Image, Face], second: tuple[Image, Face]) -> float:
        a, b = (
            self._embedder.embed(align(image, face.landmarks, self._template, self._side))
            for image, face in (first, second)
        )
        return self._scale.score(float(a @ b))


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


def rotate(image: Image, landmarks: Landmarks | None, degrees: float) -> tuple[Image, Landmarks]:
    """Return the image rotated clockwise, and its landmarks."""
    rotation = Rotation.for_image(image, degrees)
    points = np.zeros((5, 2), np.float32) if landmarks is None else landmarks
    return rotation.apply(image), (points @ rotation.matrix[:, :2].T + rotation.matrix[:, 2]).astype(np.float32)


def landmark_error(landmarks: Landmarks, expected: Landmarks) -> float:
    """Return the mean distance of the landmarks, in eye distances."""
    eye_distance = float(np.hypot(*(expected[1] - expected[0])))
    return float(np.hypot(*(landmarks - expected).T).mean()) / eye_distance


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)
