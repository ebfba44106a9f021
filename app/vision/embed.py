"""Embed an aligned crop. All differences between embedders come from ``pack.toml``."""

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
        """Return the embedding of ``crop``; with ``mirror``, the mean of the crop's and its mirror image's."""
        (outputs,) = self._session.run(blob(crop, self._spec))
        total: NDArray[np.float64] = outputs.sum(axis=0, dtype=np.float64)
        return np.asarray(total / np.linalg.norm(total), np.float32)


def blob(crop: Crop, spec: EmbedderSpec) -> Tensor:
    """Return the network's input, N x 3 x H x W float32: ``crop``, and with ``mirror`` its mirror image."""
    planes = (crop[..., ::-1] if spec.color == "RGB" else crop).transpose(2, 0, 1)
    images = np.empty((2 if spec.mirror else 1, *planes.shape), dtype=np.float32)
    np.subtract(planes, np.array(spec.mean, dtype=np.float32)[:, None, None], out=images[0])
    images[0] /= np.float32(spec.std)
    images[1:] = images[0, ..., ::-1]
    return images
