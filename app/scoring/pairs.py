"""All pairs of a labelled set of embeddings, counted by cosine.

In: N embeddings with the person of each. Out: two histograms, genuine (same person) and impostor (different
people). Memory is bounded by the block size whatever N is; N = 13,000 (87 million pairs) takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.scoring.tail import Tail

_BINS = 2_000_000
"""Bins over [-1, 1]: 1e-6 wide, the resolution of every cosine reported."""
_TILE = 2048
MOST_PAIRS = 2_000_000_000
"""Of more pairs (63,000 pictures make them) a sample is counted."""


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """Pairs per cosine bin, ascending: int64 arrays of equal length."""

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    @property
    def genuine_pairs(self) -> int:
        return int(self.genuine.sum())

    @property
    def impostor_pairs(self) -> int:
        return int(self.impostor.sum())

    def above(self, cosines: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The genuine and the impostor pairs at or above each of ``cosines``."""
        first = np.clip(np.ceil((cosines + 1.0) * (_BINS / 2) - 1e-6), 0, _BINS).astype(np.int64)
        genuine, impostor = (np.append(np.cumsum(each[::-1])[::-1], 0) for each in (self.genuine, self.impostor))
        return genuine[first], impostor[first]

    def far(self, cosine: float) -> float:
        """Share of impostor pairs at or above ``cosine``; 0 without pairs."""
        return float(self.above(np.array([cosine]))[1][0] / max(1, self.impostor_pairs))

    def tar(self, cosine: float) -> float:
        """Share of genuine pairs at or above ``cosine``; 0 without pairs."""
        return float(self.above(np.array([cosine]))[0][0] / max(1, self.genuine_pairs))

    def cosine_at_far(self, far: float) -> float:
        """The smallest cosine that at most the share ``far`` of impostor pairs reaches."""
        return float(self.cosines_at_fars(np.array([far]))[0])

    def cosines_at_fars(self, fars: NDArray[np.float64]) -> NDArray[np.float64]:
        bins = np.searchsorted(np.cumsum(self.impostor[::-1]), fars * self.impostor_pairs, side="right")
        return np.asarray((_BINS - bins) * 2.0 / _BINS - 1.0)

    def cosine_at_tar(self, tar: float) -> float:
        """The cosine that the share ``tar`` of genuine pairs reaches; linear between neighbouring pairs."""
        bins = np.flatnonzero(self.genuine)
        counts = self.genuine[bins]
        above = 1.0 - (np.cumsum(counts) - counts / 2) / self.genuine_pairs
        return float(np.interp(-tar, -above, bins * 2.0 / _BINS - 1.0))

    def impostor_tail(self, far: float) -> Tail:
        """The fitted tail above the cosine that the share ``far`` of impostor pairs reaches."""
        threshold = self.cosine_at_far(far)
        bins = np.flatnonzero(self.impostor)
        cosines = (bins + 0.5) * 2.0 / _BINS - 1.0
        above = cosines >= threshold
        weights = self.impostor[bins[above]].astype(np.float64)
        return Tail.fit(threshold, float(weights.sum()) / self.impostor_pairs, cosines[above], weights)

    def best_accuracy(self) -> float:
        """The best mean of TAR and 1 - FAR over all thresholds (chance is 0.5)."""
        tar = np.cumsum(self.genuine[::-1]) / max(1, self.genuine_pairs)
        far = np.cumsum(self.impostor[::-1]) / max(1, self.impostor_pairs)
        return float(np.max(tar + 1.0 - far) / 2.0)


def count_pairs(
    embeddings: NDArray[np.float32], people: Sequence[str], most: int = MOST_PAIRS, seed: int = 0
) -> PairCounts:
    """Count every unordered pair of ``embeddings`` (N x D, unit length) once; ``people`` names each one's person.

    Of more than ``most`` pairs, all genuine ones are counted and a sample of the impostor ones: the people are
    shuffled, the table of all pairs is cut into tiles, and each tile counts with the same probability.
    """
    rng = np.random.default_rng(seed)
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    labels = rng.permutation(len(labels))[labels]
    order = np.argsort(labels, kind="stable")
    rows, labels = embeddings[order], labels[order]
    share = most / max(1, len(rows) * (len(rows) - 1) // 2)
    genuine, impostor = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    for up in range(0, len(rows), _TILE):
        for left in range(up, len(rows), _TILE):
            a, b = slice(up, up + _TILE), slice(left, left + _TILE)
            is_shared, is_drawn = labels[a][-1] >= labels[left], rng.random() < share
            if not (is_shared or is_drawn):
                continue
            cosines, same = rows[a] @ rows[b].T, labels[a, None] == labels[None, b]
            once = np.triu(np.ones_like(same), 1) if up == left else np.ones_like(same)
            genuine += _histogram(cosines[once & same])
            if is_drawn:
                impostor += _histogram(cosines[once & ~same])
    return PairCounts(genuine, impostor)


def count_listed(embeddings: NDArray[np.float32], pairs: NDArray[np.intp], same: NDArray[np.bool_]) -> PairCounts:
    """Count the listed pairs only: ``pairs`` (P x 2) are rows of ``embeddings``, genuine where ``same`` (P)."""
    genuine, impostor = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    for start in range(0, len(pairs), _TILE):
        of, is_same = pairs[start : start + _TILE], same[start : start + _TILE]
        cosines = np.einsum("ij,ij->i", embeddings[of[:, 0]], embeddings[of[:, 1]])
        genuine += _histogram(cosines[is_same])
        impostor += _histogram(cosines[~is_same])
    return PairCounts(genuine, impostor)


def _histogram(cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = np.clip((cosines.astype(np.float64) + 1.0) * (_BINS / 2), 0, _BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=_BINS).astype(np.int64, copy=False)
