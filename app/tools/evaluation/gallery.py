"""A folder of faces, one sub-folder per person, as embeddings: what calibration and evaluation start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.domain import CompareOptions, Embedding
from app.errors import ApiError, ErrorCode, OperatorError
from app.ops.stage_timer import StageTimer
from app.service.face_pipeline import EmbeddingPipeline

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_SECONDS_PER_PICTURE = 60.0


class GalleryError(OperatorError):
    """The folder cannot be used; the text is for the operator."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Row i of ``embeddings`` (N x D, float32, unit length) is picture ``pictures[i]`` of ``people[i]``."""

    embeddings: NDArray[np.float32]
    pictures: tuple[Path, ...]
    people: tuple[str, ...]
    refused: Mapping[Path, ErrorCode]
    """Pictures without a usable face, and why; they are in no pair."""


def list_pictures(folder: Path) -> list[Path]:
    """Return FOLDER/PERSON/PICTURE files in a fixed order; raise :class:`GalleryError` where there are none."""
    if not folder.is_dir():
        raise GalleryError(f"{folder} is not a folder")
    pictures = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise GalleryError(f"{folder} holds no pictures of the form PERSON/PICTURE.jpg")
    return pictures


_Result: TypeAlias = Embedding | ErrorCode
Progress: TypeAlias = Callable[[Iterable[_Result]], Iterable[_Result]]


def embed_pictures(
    embedding_pipeline: EmbeddingPipeline, pictures: list[Path], workers: int, progress: Progress
) -> Gallery:
    """Embed ``pictures`` on ``workers`` threads; the person is the name of a picture's folder.

    ``progress`` is wrapped around the results as they come (``tqdm``, or ``iter``).
    """

    def embed(path: Path) -> _Result:
        try:
            return embedding_pipeline.embed(path.read_bytes(), CompareOptions(), StageTimer.after(_SECONDS_PER_PICTURE))
        except ApiError as error:
            return error.code

    with ThreadPoolExecutor(workers) as pool:
        results = dict(zip(pictures, progress(pool.map(embed, pictures)), strict=True))
    found = {path: result for path, result in results.items() if not isinstance(result, ErrorCode)}
    if not found:
        raise GalleryError("no picture shows a face")
    return Gallery(
        embeddings=np.stack(list(found.values())),
        pictures=tuple(found),
        people=tuple(path.parent.name for path in found),
        refused={path: result for path, result in results.items() if isinstance(result, ErrorCode)},
    )
