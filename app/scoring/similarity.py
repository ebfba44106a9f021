"""Cosine similarity of embeddings."""

import numpy as np

from app.domain import Embedding


def cosine(a: Embedding, b: Embedding) -> float:
    """Return the cosine of two unit-length embeddings, in [-1, 1]; exactly 1 for equal ones.

    Computed as ``1 - |a - b|^2 / 2`` in float64, which loses no digits for similar faces.
    """
    difference = a.astype(np.float64) - b.astype(np.float64)
    return max(-1.0, 1.0 - float(difference @ difference) / 2.0)
