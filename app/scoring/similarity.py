"""Similarity of two faces: the cosine of their embeddings, less if both images are degraded.

Two degraded images of different people are more similar than two good ones (``app.vision.degradation``). The product
of both degradations is subtracted, so the cosine of a good image with any other image is unchanged. So is that of an
image with itself. Calibrations are measured on this corrected cosine, and the rest of the program calls it the cosine.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.domain import Embedding

_COPY_DISTANCE = 0.005
"""Distance of a cosine from 1 below which the images are copies of one image. From this distance to 0 the subtracted
share falls linearly from 1 to 0. Degraded images of different people are not that similar."""

T = TypeVar("T", float, NDArray[np.float32])


def cosine(a: Embedding, b: Embedding) -> float:
    """Return the corrected cosine of two embeddings, in [-1, 1]; exactly 1 for equal ones.

    Computed as ``1 - |a - b|^2 / 2`` in float64, which loses no digits for similar faces.
    """
    difference = a[:-1].astype(np.float64) - b[:-1].astype(np.float64)
    uncorrected = 1.0 - float(difference @ difference) / 2.0
    return max(-1.0, _corrected(uncorrected, float(a[-1]) * float(b[-1])))


def cosine_matrix(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the corrected cosines of all pairs of N ``rows`` and M ``columns`` of embeddings: N x M."""
    uncorrected = rows[:, :-1] @ columns[:, :-1].T
    return np.asarray(_corrected(uncorrected, np.outer(rows[:, -1], columns[:, -1])))


def pair_cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the corrected cosine of each row of ``first`` and the same row of ``second`` (both P x (D + 1))."""
    uncorrected = np.einsum("ij,ij->i", first[:, :-1], second[:, :-1])
    return np.asarray(_corrected(uncorrected, first[:, -1] * second[:, -1]))


def _corrected(uncorrected: T, product: T) -> T:
    """Return the cosine less ``product``; less is subtracted for copies of one image."""
    corrected: T = uncorrected - product * np.clip((1 - uncorrected) / _COPY_DISTANCE, 0, 1)
    return corrected
