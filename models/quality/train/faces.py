"""The training faces: images of ``../shared/data``, detected by the pack ``open``, as quality crops."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Image, Landmarks, MatchingStrategy
from app.environment import load_settings
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.quality.crop import quality_crop
from app.vision.selection import select_target

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


class LabelledFace(NamedTuple):
    """An image with its ``name`` PERSON/FILE, and the landmarks of its target face."""

    name: str
    image: Image
    landmarks: Landmarks


def is_held_out(name: str) -> bool:
    """Return whether the person of the image PERSON/FILE belongs to the half for evaluation, not for training."""
    return hashlib.sha256(Path(name).parts[0].encode()).digest()[0] % 2 == 1


def detect_faces(folder: str, step: int = 1) -> Iterator[LabelledFace]:
    """Yield the target face of every ``step``-th image of ``DATA``/``folder``; skip images without a face."""
    store = Store.from_settings(load_settings().models)
    pack = store.pack("open")
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    detector = DETECTORS[pack.detector.family](session, pack.detector)
    for path in sorted((DATA / folder).glob("*/*.jpg"))[::step]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        faces = detector.detect(image)
        if faces:
            face = select_target(faces, image, MatchingStrategy.LARGEST, pack.detector.selection_confidence)
            yield LabelledFace(str(path.relative_to(DATA / folder)), image, face.landmarks)


class Faces(NamedTuple):
    """Quality crops of N faces.

    ``crops``: N x 224 x 224 x 3, uint8, BGR. ``inside``: N x 224 x 224, bool. ``names``: N strings PERSON/FILE.
    """

    crops: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    names: NDArray[np.str_]

    @classmethod
    def load(cls, folder: str, cache: Path) -> Self:
        """Return the faces of all images of ``folder``; read them from ``cache`` if it exists, else write it."""
        if not cache.is_file():
            named_crops = [(face.name, quality_crop(face.image, face.landmarks)) for face in detect_faces(folder)]
            cache.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                cache,
                crops=np.stack([crop.image for _, crop in named_crops]),
                inside=np.stack([crop.inside for _, crop in named_crops]),
                names=np.array([name for name, _ in named_crops]),
            )
        with np.load(cache) as arrays:
            return cls(arrays["crops"], arrays["inside"], arrays["names"])

    def filtered(self, is_kept: Callable[[int], bool]) -> "Faces":
        """Return the faces in the rows for which ``is_kept`` is true."""
        rows = [row for row in range(len(self.crops)) if is_kept(row)]
        return Faces(self.crops[rows], self.inside[rows], self.names[rows])
