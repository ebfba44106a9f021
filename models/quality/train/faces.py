"""The faces of ``../shared/data``, found by the detector of the pack ``open`` and cut as for a judgement."""

from __future__ import annotations

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
from app.vision.selection import select

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


class Found(NamedTuple):
    """A picture, ``name`` PERSON/FILE, and the landmarks of the face that would be compared."""

    name: str
    image: Image
    landmarks: Landmarks


def is_held_out(name: str) -> bool:
    """Whether the person of the picture PERSON/FILE belongs to the half that is judged, not learned from."""
    return hashlib.sha256(Path(name).parts[0].encode()).digest()[0] % 2 == 1


def found(folder: str, step: int = 1) -> Iterator[Found]:
    """Yield every ``step``-th picture of ``DATA``/``folder`` that shows a face."""
    store = Store.from_settings(load_settings().models)
    pack = store.pack("open")
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    detector = DETECTORS[pack.detector.family](session, pack.detector)
    for path in sorted((DATA / folder).glob("*/*.jpg"))[::step]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        faces = detector.detect(image)
        if faces:
            face = select(faces, image, MatchingStrategy.LARGEST, pack.detector.selection_confidence)
            yield Found(str(path.relative_to(DATA / folder)), image, face.landmarks)


class Faces(NamedTuple):
    """``crops``: N x 224 x 224 x 3, uint8, BGR; ``inside``: N x 224 x 224, bool; ``names``: N times PERSON/FILE."""

    crops: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    names: NDArray[np.str_]

    @classmethod
    def of(cls, folder: str, cache: Path) -> Self:
        """The quality crops of all pictures of a folder; ``cache`` is read if there, else written."""
        if not cache.is_file():
            each = [(one.name, quality_crop(one.image, one.landmarks)) for one in found(folder)]
            cache.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                cache,
                crops=np.stack([crop.image for _, crop in each]),
                inside=np.stack([crop.inside for _, crop in each]),
                names=np.array([name for name, _ in each]),
            )
        with np.load(cache) as kept:
            return cls(kept["crops"], kept["inside"], kept["names"])

    def only(self, wanted: Callable[[int], bool]) -> Faces:
        """Those in the rows that are ``wanted``."""
        rows = [row for row in range(len(self.crops)) if wanted(row)]
        return Faces(self.crops[rows], self.inside[rows], self.names[rows])
