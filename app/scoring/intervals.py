"""95 % intervals of rates over pairs of faces.

Pairs share people and are not independent, so a binomial interval is too narrow. Instead each person in turn is left
out, with all their pairs; how much the rate varies then tells its spread (delete-one jackknife; Arvesen, "Jackknifing
U-Statistics", 1969). Intervals are symmetric in log-odds, so that they stay within 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964  # of the normal distribution, two-sided 95 %
_BLOCK = 512


class Rate(NamedTuple):
    """A measured share and its 95 % interval."""

    value: float
    low: float
    high: float

    def holds(self, target: float) -> bool:
        return self.low <= target <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Rates(NamedTuple):
    """What one threshold accepts."""

    far: Rate
    tar: Rate


def binomial(hits: float, pairs: float) -> Rate:
    """Return the share of independent pairs with Wilson's interval ("Probable Inference", 1927)."""
    if not pairs:
        return Rate(0.0, 0.0, 1.0)
    share, z = hits / pairs, _Z**2 / pairs
    centre, reach = share + z / 2, _Z * math.sqrt(share * (1 - share) / pairs + z / (4 * pairs))
    return Rate(share, max(0.0, (centre - reach) / (1 + z)), min(1.0, (centre + reach) / (1 + z)))


def clustered(embeddings: NDArray[np.float32], people: Sequence[str], cosines: Sequence[float]) -> list[Rates]:
    """Return FAR and TAR at each of ``cosines`` over all pairs of ``embeddings`` (N x D, unit length)."""
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    sizes = np.bincount(labels).astype(np.float64)
    impostor, genuine = _hits_by_person(embeddings, labels, cosines)
    strangers, selves = sizes * (len(labels) - sizes), sizes * (sizes - 1) / 2
    return [
        Rates(
            _jackknife(far, strangers, far.sum() / 2, strangers.sum() / 2),
            _jackknife(tar / 2, selves, tar.sum() / 2, selves.sum()),
        )
        for far, tar in zip(impostor, genuine, strict=True)
    ]


def clustered_listed(
    embeddings: NDArray[np.float32],
    people: Sequence[str],
    pairs: NDArray[np.intp],
    same: NDArray[np.bool_],
    cosines: Sequence[float],
) -> list[Rates]:
    """Return FAR and TAR at each of ``cosines`` over listed pairs (P x 2 rows), genuine where ``same`` (P)."""
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    similar = np.einsum("ij,ij->i", embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
    return [
        Rates(*(_listed(labels, pairs[kind], similar[kind] >= np.float32(cosine)) for kind in (~same, same)))
        for cosine in cosines
    ]


def _listed(labels: NDArray[np.intp], pairs: NDArray[np.intp], is_hit: NDArray[np.bool_]) -> Rate:
    people = len(np.unique(labels))
    one, other = labels[pairs[:, 0]], labels[pairs[:, 1]]
    both = np.where(one == other, 0, 1)  # a pair of one person counts for them once

    def by_person(weights: NDArray[np.bool_]) -> NDArray[np.float64]:
        of_one, of_other = np.bincount(one, weights, people), np.bincount(other, weights * both, people)
        return (of_one + of_other).astype(np.float64)

    return _jackknife(by_person(is_hit), by_person(np.ones_like(is_hit)), float(is_hit.sum()), len(is_hit))


def _hits_by_person(
    embeddings: NDArray[np.float32], labels: NDArray[np.intp], cosines: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two T x P tables: pairs at or above each cosine, by person; a pair of two people counts for both."""
    shape = (len(cosines), int(labels.max()) + 1)
    impostor, genuine = np.zeros(shape), np.zeros(shape)
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        similar = embeddings[rows] @ embeddings.T
        similar[np.arange(len(similar)), np.arange(start, start + len(similar))] = -2.0  # no picture with itself
        same = labels[rows, None] == labels[None]
        for t, cosine in enumerate(cosines):
            above = similar >= np.float32(cosine)
            own = (above & same).sum(axis=1)
            np.add.at(genuine[t], labels[rows], own)
            np.add.at(impostor[t], labels[rows], above.sum(axis=1) - own)
    return impostor, genuine


def _jackknife(
    hits_by_person: NDArray[np.float64], pairs_by_person: NDArray[np.float64], hits: float, pairs: float
) -> Rate:
    rate = binomial(hits, pairs)
    rest = pairs - pairs_by_person
    if not 0.0 < rate.value < 1.0 or not np.all(rest > 0):
        return rate
    without = (hits - hits_by_person) / rest
    spread = math.sqrt((len(without) - 1) / len(without) * float(((without - without.mean()) ** 2).sum()))
    odds, reach = math.log(rate.value / (1 - rate.value)), _Z * spread / (rate.value * (1 - rate.value))
    return Rate(rate.value, _share(odds - reach), _share(odds + reach))


def _share(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds)) if odds > -700 else 0.0  # noqa: PLR2004 - where exp overflows
