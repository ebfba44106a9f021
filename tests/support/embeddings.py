"""Embeddings without degradation, from vectors of unit length."""

import numpy as np
from numpy.typing import NDArray


def without_degradation(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return embeddings (... x (D + 1)) of ``vectors`` (... x D), which are scaled to unit length."""
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.concatenate([unit, np.zeros((*vectors.shape[:-1], 1))], axis=-1).astype(np.float32)
