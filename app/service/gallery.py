"""A folder of faces, one sub-folder per person, as embeddings: what calibration and evaluation start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain import Embedding, Options
from app.errors import ApiError
from app.ops.deadline import Deadline
from app.service.recognise import Recogniser

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_SECONDS_PER_PICTURE = 60.0


class GalleryError(RuntimeError):
    """The folder cannot be used; the text is for the operator."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Row i of ``embeddings`` (N x D, float32, unit length) is picture ``pictures[i]`` of ``people[i]``."""

    embeddings: NDArray[np.float32]
    pictures: tuple[Path, ...]
    people: tuple[str, ...]
    not_found: tuple[Path, ...]
    """Pictures without a usable face; they are in no pair."""


def list_pictures(folder: Path) -> list[Path]:
    """Return FOLDER/PERSON/PICTURE files in a fixed order; raise :class:`GalleryError` where there are none."""
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    pictures = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _SUFFIXES)
    if not pictures:
        raise GalleryError(f"{folder} holds no pictures of the form PERSON/PICTURE.jpg")
    return pictures


Progress = Callable[[Iterable[Embedding | None]], Iterable[Embedding | None]]


def embed_pictures(recogniser: Recogniser, pictures: list[Path], workers: int, progress: Progress) -> Gallery:
    """Embed ``pictures`` on ``workers`` threads; the person is the name of a picture's folder.

    ``progress`` is wrapped around the results as they come (``tqdm``, or ``iter``).
    """

    def embed(path: Path) -> Embedding | None:
        try:
            return recogniser.recognise(path.read_bytes(), Options(), Deadline.after(_SECONDS_PER_PICTURE))
        except ApiError:
            return None

    with ThreadPoolExecutor(workers) as pool:
        results = list(progress(pool.map(embed, pictures)))
    found = [(path, row) for path, row in zip(pictures, results, strict=True) if row is not None]
    if not found:
        raise GalleryError("no picture shows a face")
    return Gallery(
        embeddings=np.stack([row for _, row in found]),
        pictures=tuple(path for path, _ in found),
        people=tuple(path.parent.name for path, _ in found),
        not_found=tuple(path for path, row in zip(pictures, results, strict=True) if row is None),
    )
