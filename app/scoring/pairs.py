"""All pairs of a labelled set of embeddings, counted by cosine.

In: N embeddings with the person of each. Out: two histograms, genuine (same person) and impostor (different
people). Memory is bounded by the block size whatever N is; N = 13,000 (87 million pairs) takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 2_000_000
"""Bins over [-1, 1]: 1e-6 wide, the resolution of every cosine reported."""
_BLOCK = 512


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

    def far(self, cosine: float) -> float:
        """Share of impostor pairs at or above ``cosine``; 0 without pairs."""
        return _share_above(self.impostor, cosine)

    def tar(self, cosine: float) -> float:
        """Share of genuine pairs at or above ``cosine``; 0 without pairs."""
        return _share_above(self.genuine, cosine)

    def cosine_at_far(self, far: float) -> float:
        """The smallest cosine that at most the share ``far`` of impostor pairs reaches."""
        above = np.cumsum(self.impostor[::-1])[::-1]
        allowed = above <= far * self.impostor_pairs
        return _edge(int(np.argmax(allowed)) if allowed.any() else _BINS)

    def cosine_at_tar(self, tar: float) -> float:
        """The largest cosine that at least the share ``tar`` of genuine pairs reaches."""
        above = np.cumsum(self.genuine[::-1])[::-1]
        return _edge(int(np.flatnonzero(above >= tar * self.genuine_pairs)[-1]))

    def best_accuracy(self) -> float:
        """The best mean of TAR and 1 - FAR over all thresholds (chance is 0.5)."""
        tar = np.cumsum(self.genuine[::-1]) / max(1, self.genuine_pairs)
        far = np.cumsum(self.impostor[::-1]) / max(1, self.impostor_pairs)
        return float(np.max(tar + 1.0 - far) / 2.0)


def count_pairs(embeddings: NDArray[np.float32], people: Sequence[str]) -> PairCounts:
    """Count every unordered pair of ``embeddings`` (N x D, unit length) once; ``people`` names each one's person."""
    genuine = np.zeros(_BINS, dtype=np.int64)
    impostor = np.zeros(_BINS, dtype=np.int64)
    labels = np.unique(np.asarray(people), return_inverse=True)[1]
    for start in range(0, len(embeddings), _BLOCK):
        stop = min(start + _BLOCK, len(embeddings))
        cosines = embeddings[start:stop] @ embeddings[start:].T
        later = np.arange(start, len(embeddings))[None] > np.arange(start, stop)[:, None]
        same = labels[start:stop, None] == labels[None, start:]
        genuine += _histogram(cosines[later & same])
        impostor += _histogram(cosines[later & ~same])
    return PairCounts(genuine, impostor)


def _histogram(cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = np.clip((cosines.astype(np.float64) + 1.0) * (_BINS / 2), 0, _BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=_BINS).astype(np.int64, copy=False)


def _share_above(counts: NDArray[np.int64], cosine: float) -> float:
    first = int(np.clip(np.ceil((cosine + 1.0) * (_BINS / 2) - 1e-6), 0, _BINS))
    total = int(counts.sum())
    return float(counts[first:].sum() / total) if total else 0.0


def _edge(index: int) -> float:
    return index * 2.0 / _BINS - 1.0
