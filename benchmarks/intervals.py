"""95 % intervals for rates over pairs of faces.

Pairs share people, so they are not independent and a binomial interval would be too narrow. People are resampled
instead (bootstrap over clusters): a pair's weight is the product of its people's weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000


class Rate(NamedTuple):
    """A measured share and its 95 % interval."""

    value: float
    low: float
    high: float

    def holds(self, target: float) -> bool:
        return self.low <= target <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def clustered_rates(
    embeddings: NDArray[np.float32], people: tuple[str, ...], cosine: float, seed: int = 0
) -> tuple[Rate, Rate]:
    """Return FAR and TAR at ``cosine`` over all pairs of ``embeddings`` (N x D, unit length)."""
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    first, second = _pairs_above(embeddings, cosine)
    a, b = labels[first], labels[second]
    sizes = np.bincount(labels)
    rng = np.random.default_rng(seed)
    weights = np.vstack(
        [np.ones(len(sizes)), rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), _RESAMPLES)]
    )
    far = [_impostor_share(w, a[a != b], b[a != b], sizes) for w in weights]
    tar = [_genuine_share(w, a[a == b], sizes) for w in weights]
    return _rate(far), _rate(tar)


def _pairs_above(embeddings: NDArray[np.float32], cosine: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = [], []
    for start in range(0, len(embeddings), 512):
        above = np.argwhere(embeddings[start : start + 512] @ embeddings.T >= np.float32(cosine))
        above = above[above[:, 0] + start < above[:, 1]]
        rows.append(above[:, 0] + start)
        columns.append(above[:, 1])
    return np.concatenate(rows), np.concatenate(columns)


def _impostor_share(
    weights: NDArray[np.float64], a: NDArray[np.intp], b: NDArray[np.intp], sizes: NDArray[np.intp]
) -> float:
    mass = weights * sizes
    return float((weights[a] * weights[b]).sum() / ((mass.sum() ** 2 - (mass**2).sum()) / 2))


def _genuine_share(weights: NDArray[np.float64], a: NDArray[np.intp], sizes: NDArray[np.intp]) -> float:
    return float(weights[a].sum() / (weights * sizes * (sizes - 1) / 2).sum())


def _rate(values: list[float]) -> Rate:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Rate(values[0], float(low), float(high))
