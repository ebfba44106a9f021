"""Embed an aligned crop. All differences between embedders come from the files of the pack."""

import numpy as np
from numpy.typing import NDArray

from app.domain import Crop, Embedding
from app.packs.manifest import EmbedderSpec
from app.runtime.session import Session, Tensor
from app.vision.degradation import DegradationModel


class Embedder:
    """One recognition network."""

    def __init__(self, session: Session, spec: EmbedderSpec, degradation: DegradationModel | None = None) -> None:
        """Without a ``degradation`` model, every embedding has the degradation 0."""
        self._session = session
        self._spec = spec
        self._degradation = degradation

    def embed(self, crop: Crop) -> Embedding:
        """Return the embedding of ``crop``; with ``mirror``, the mean of the crop's and its mirror image's."""
        (outputs,) = self._session.run(blob(crop, self._spec))
        total: NDArray[np.float64] = outputs.sum(axis=0, dtype=np.float64)
        vector = np.asarray(total / np.linalg.norm(total), np.float32)
        return np.append(vector, np.float32(self._degradation.estimate(vector) if self._degradation else 0))


def blob(crop: Crop, spec: EmbedderSpec) -> Tensor:
    """Return the network's input, N x 3 x H x W float32: ``crop``, and with ``mirror`` its mirror image."""
    planes = (crop[..., ::-1] if spec.color == "RGB" else crop).transpose(2, 0, 1)
    images = np.empty((2 if spec.mirror else 1, *planes.shape), dtype=np.float32)
    np.subtract(planes, np.array(spec.mean, dtype=np.float32)[:, None, None], out=images[0])
    images[0] /= np.float32(spec.std)
    images[1:] = images[0, ..., ::-1]
    return images
