"""Embeddings of labelled faces: a folder with one sub-folder of images per person."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.errors import ErrorCode, OperatorError
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.embedding import embed
from app.tools.progress import progress

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_LAYOUT = "PERSON/IMAGE"


class GalleryError(OperatorError):
    """A folder of faces or a list of pairs cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Row i of ``embeddings`` (N x (D + 1), float32) is image ``images[i]`` of person ``people[i]``."""

    embeddings: NDArray[np.float32]
    images: tuple[Path, ...]
    people: tuple[str, ...]
    failures: Mapping[Path, ErrorCode]
    """Images without a usable face; they are in no pair."""

    def select(
        self, is_selected: NDArray[np.bool_], failures: Mapping[Path, ErrorCode] = MappingProxyType({})
    ) -> "Gallery":
        """Return the gallery of the selected images; ``failures`` are those of the same people or pairs."""
        rows = np.flatnonzero(is_selected)
        return Gallery(
            self.embeddings[rows],
            tuple(self.images[row] for row in rows),
            tuple(self.people[row] for row in rows),
            failures,
        )


def list_images(folder: Path, layout: str = _LAYOUT) -> list[Path]:
    """Return the files FOLDER/``layout``, sorted; raise :class:`GalleryError` if there are none."""
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    images = find_images(folder, layout)
    if not images:
        raise GalleryError(f"{folder} contains no images named {layout}.jpg")
    return images


def find_images(folder: Path, layout: str = _LAYOUT) -> list[Path]:
    """Return the files FOLDER/``layout``, sorted."""
    pattern = "/".join("*" for _ in layout.split("/"))
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES and path.is_file())


def embed_images(embedding_pipeline: EmbeddingPipeline, images: list[Path], workers: int) -> Gallery:
    """Embed ``images`` on ``workers`` threads; the person is the name of an image's folder. Show progress on stderr.

    Raise :class:`GalleryError` if no face is found.
    """
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda path: embed(embedding_pipeline, path.read_bytes()), images)
        shown = progress(results, total=len(images), description="Embedding", unit="image")
        result_of_image = dict(zip(images, shown, strict=True))
    embeddings = {path: result for path, result in result_of_image.items() if not isinstance(result, ErrorCode)}
    if not embeddings:
        raise GalleryError("none of the images shows a face")
    return Gallery(
        embeddings=np.stack(list(embeddings.values())),
        images=tuple(embeddings),
        people=tuple(path.parent.name for path in embeddings),
        failures={path: result for path, result in result_of_image.items() if isinstance(result, ErrorCode)},
    )
