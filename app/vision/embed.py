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

    def embed(self, crop: Crop) -> Embedding:
        """Return the unit-length embedding of ``crop``; with ``mirror``, of it and its mirror image together."""
        (outputs,) = self._session.run(blob(crop, self._spec))
        total: NDArray[np.float64] = outputs.sum(axis=0, dtype=np.float64)
        unit = total / np.linalg.norm(total)
        return unit.astype(np.float32)


def blob(crop: Crop, spec: EmbedderSpec) -> Tensor:
    """Return ``crop`` as the network wants it and, with ``mirror``, its mirror image: N x 3 x H x W, float32."""
    planes = (crop[..., ::-1] if spec.color == "RGB" else crop).transpose(2, 0, 1)
    views = np.empty((2 if spec.mirror else 1, *planes.shape), dtype=np.float32)
    np.subtract(planes, np.array(spec.mean, dtype=np.float32)[:, None, None], out=views[0])
    views[0] /= np.float32(spec.std)
    views[1:] = views[0, ..., ::-1]
    return views
