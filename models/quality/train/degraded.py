"""Embeddings of degraded photos of LFW, from the pipeline of the service."""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Embedding, Image, Landmarks
from app.engine import open_pipelines, open_shared_resources
from app.environment import load_settings
from app.errors import ErrorCode
from app.packs.manifest import Pack
from app.packs.store import Store
from app.tools.embedding import embed
from models.quality.train.degradations import Kind
from models.quality.train.faces import LabelledFace


class Photo(NamedTuple):
    """An image of ``person``, the approximate box of the face, and a ``seed`` for random degradations."""

    image: Image
    box: Box
    person: str
    seed: int

    @classmethod
    def of(cls, face: LabelledFace) -> "Photo":
        return cls(face.image, _box(face.landmarks), Path(face.name).parts[0], zlib.crc32(face.name.encode()))


class DegradedPhotos:
    """Degrades ``photos`` and embeds them with a pack."""

    def __init__(self, store: Store, pack: Pack, photos: Sequence[Photo]) -> None:
        settings = load_settings()
        shared = open_shared_resources(settings)
        self.photos = photos
        self.people = np.array([photo.person for photo in photos])
        self._pipeline = open_pipelines(settings, store, pack, shared).embedding
        self._workers = shared.budget.workers
        self._dimension = pack.embedder.dimension

    def embeddings(self, kind: Kind) -> NDArray[np.float32]:
        """Return the embeddings of the photos degraded by ``kind``: N x (D + 1), NaN if no face is found."""
        with ThreadPoolExecutor(self._workers) as pool:
            outcomes = pool.map(lambda photo: self._embedding(kind, photo), self.photos)
            missing = np.full(self._dimension + 1, np.nan, np.float32)
            return np.stack([missing if isinstance(outcome, ErrorCode) else outcome for outcome in outcomes])

    def _embedding(self, kind: Kind, photo: Photo) -> Embedding | ErrorCode:
        image = kind(photo.image, photo.box, np.random.default_rng(photo.seed))
        return embed(self._pipeline, cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def _box(landmarks: Landmarks) -> Box:
    """Return a box around the face with ``landmarks``, of the usual proportions."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    size = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), float(np.linalg.norm(mouth - eyes)))
    x, y = ((eyes + mouth) / 2).tolist()
    return Box(x - 1.1 * size, y - 1.5 * size, x + 1.1 * size, y + 1.3 * size)
