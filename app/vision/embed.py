"""Crop -> embedding. Everything in which embedders differ comes from ``pack.toml``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Embedding
from app.packs.manifest import EmbedderSpec
from app.runtime.session import Session, Tensor


class Embedder:
    """One recognition network."""

    def __init__(self, session: Session, spec: EmbedderSpec) -> None:
        self._session = session
        self._spec = spec
        self._mean = np.array(spec.mean, dtype=np.float32)

    def embed(self, crop: Crop) -> Embedding:
        """Return the unit-length embedding of ``crop``; with ``mirror``, of it and its mirror image together."""
        views = [crop, crop[:, ::-1]] if self._spec.mirror else [crop]
        (outputs,) = self._session.run(self._blob(views))
        total: NDArray[np.float64] = outputs.sum(axis=0, dtype=np.float64)
        unit = total / np.linalg.norm(total)
        return unit.astype(np.float32)

    def _blob(self, views: list[Crop]) -> Tensor:
        batch = np.stack(views)
        if self._spec.color == "RGB":
            batch = batch[..., ::-1]
        normalised = (batch.astype(np.float32) - self._mean) / np.float32(self._spec.std)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
