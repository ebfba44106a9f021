"""Genuine pairs (one person) and impostor pairs (two people) of labelled faces, and histograms of their cosines.

Memory is bounded by the tile size, not by the number of embeddings; 13,000 embeddings (87 million pairs) take seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.scoring import similarity
from app.tools.evaluation.tail import Tail

_BINS = 2_000_000
"""Bins over [-1, 1]: 1e-6 wide, the resolution of every reported cosine."""
_TILE = 2048
"""Rows and columns of the similarity matrix that are computed at once."""
MAX_PAIRS = 2_000_000_000
"""Above this number of pairs (63,000 images) impostor pairs are sampled."""


class LabelledFaces(NamedTuple):
    """Row i of ``embeddings`` (N x (D + 1), float32) is image ``names[i]`` of person ``people[i]``."""

    embeddings: NDArray[np.float32]
    people: Sequence[str]
    names: Sequence[str]

    @property
    def labels(self) -> NDArray[np.intp]:
        """The people as numbers from 0 (N)."""
        return person_labels(self.people)


class ListedPairs(NamedTuple):
    """Pair i compares the rows ``pairs[i]`` (P x 2) of labelled faces; it is genuine if ``same[i]``.

    ``has_people``: the person of each face is known, not only the label of each pair. ``groups``: the group of each
    pair, or none.
    """

    pairs: NDArray[np.intp]
    same: NDArray[np.bool_]
    has_people: bool = False
    groups: NDArray[np.str_] | None = None


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Pairs per cosine bin, ascending: int64 arrays of equal length."""

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    @property
    def genuine_pairs(self) -> int:
        return int(self._genuine_from_bin[0])

    @property
    def impostor_pairs(self) -> int:
        return int(self._impostor_from_bin[0])

    @cached_property
    def _genuine_from_bin(self) -> NDArray[np.int64]:
        return _at_or_above(self.genuine)

    @cached_property
    def _impostor_from_bin(self) -> NDArray[np.int64]:
        return _at_or_above(self.impostor)

    def at_or_above(self, cosines: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the number of genuine and of impostor pairs at or above each of ``cosines``."""
        first_bins = np.clip(np.ceil((np.asarray(cosines) + 1.0) * (_BINS / 2) - 1e-6), 0, _BINS).astype(np.int64)
        return self._genuine_from_bin[first_bins], self._impostor_from_bin[first_bins]

    def far(self, cosine: float) -> float:
        """Return the share of impostor pairs at or above ``cosine``; 0 without pairs."""
        return float(self.at_or_above(cosine)[1] / max(1, self.impostor_pairs))

    def tar(self, cosine: float) -> float:
        """Return the share of genuine pairs at or above ``cosine``; 0 without pairs."""
        return float(self.at_or_above(cosine)[0] / max(1, self.genuine_pairs))

    def cosine_at_far(self, far: float) -> float:
        """Return the smallest cosine that at most the share ``far`` of impostor pairs reaches."""
        return float(self.cosines_at_fars(far))

    def cosines_at_fars(self, fars: ArrayLike) -> NDArray[np.float64]:
        """Return ``cosine_at_far`` of each of ``fars``."""
        accepted = np.floor(np.asarray(fars) * self.impostor_pairs).astype(np.int64)
        bins = np.searchsorted(self._impostor_from_bin[-2::-1], accepted, side="right")
        return np.asarray((_BINS - bins) * 2.0 / _BINS - 1.0)

    def cosine_at_tar(self, tar: float) -> float:
        """Return the cosine that the share ``tar`` of genuine pairs reaches; linear between neighbouring pairs."""
        bins = np.flatnonzero(self.genuine)
        counts = self.genuine[bins]
        shares = 1.0 - (np.cumsum(counts) - counts / 2) / self.genuine_pairs
        return float(np.interp(-tar, -shares, bins * 2.0 / _BINS - 1.0))

    def impostor_tail(self, far: float) -> Tail:
        """Return the tail fitted above the cosine that the share ``far`` of impostor pairs reaches."""
        threshold = self.cosine_at_far(far)
        bins = np.flatnonzero(self.impostor)
        cosines = (bins + 0.5) * 2.0 / _BINS - 1.0
        is_tail = cosines >= threshold
        weights = self.impostor[bins[is_tail]].astype(np.float64)
        return Tail.fit(threshold, float(weights.sum()) / self.impostor_pairs, cosines[is_tail], weights)

    def best_accuracy(self) -> float:
        """Return the highest mean of TAR and 1 - FAR over all thresholds (chance is 0.5)."""
        tar = self._genuine_from_bin[:-1] / max(1, self.genuine_pairs)
        far = self._impostor_from_bin[:-1] / max(1, self.impostor_pairs)
        return float(np.max(tar + 1.0 - far) / 2.0)


def _at_or_above(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs in each bin and those above it, and a last 0."""
    return np.append(np.cumsum(histogram[::-1])[::-1], 0)


def person_labels(people: Sequence[str]) -> NDArray[np.intp]:
    """Return the people as numbers from 0."""
    return np.unique(np.asarray(people), return_inverse=True)[1]


def pair_cosines(embeddings: NDArray[np.float32], pairs: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the cosine of each of ``pairs`` (P x 2), which are rows of ``embeddings``."""
    return similarity.pair_cosines(embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])


def count_pairs(
    embeddings: NDArray[np.float32], people: Sequence[str], max_pairs: int = MAX_PAIRS, seed: int = 0
) -> PairCounts:
    """Count each unordered pair of ``embeddings`` (N x (D + 1)) once; ``people`` (N) are the labels.

    Above ``max_pairs`` pairs, all genuine pairs and a sample of the impostor pairs are counted: the rows are sorted by
    shuffled people, and each tile of the similarity matrix is sampled with the same probability.
    """
    rng = np.random.default_rng(seed)
    labels = person_labels(people)
    labels = rng.permutation(len(labels))[labels]
    order = np.argsort(labels, kind="stable")
    rows, labels = embeddings[order], labels[order]
    probability = max_pairs / max(1, len(rows) * (len(rows) - 1) // 2)
    genuine, impostor = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    for top in range(0, len(rows), _TILE):
        for left in range(top, len(rows), _TILE):
            a, b = slice(top, top + _TILE), slice(left, left + _TILE)
            has_genuine, is_sampled = labels[a][-1] >= labels[left], rng.random() < probability
            if not (has_genuine or is_sampled):
                continue
            cosines, same = similarity.cosine_matrix(rows[a], rows[b]), labels[a, None] == labels[None, b]
            is_pair = np.triu(np.ones_like(same), 1) if top == left else np.ones_like(same)
            genuine += _histogram(cosines[is_pair & same])
            if is_sampled:
                impostor += _histogram(cosines[is_pair & ~same])
    return PairCounts(genuine, impostor)


def count_listed_pairs(embeddings: NDArray[np.float32], listed: ListedPairs) -> PairCounts:
    """Count the listed pairs of rows of ``embeddings`` only."""
    genuine, impostor = np.zeros(_BINS, dtype=np.int64), np.zeros(_BINS, dtype=np.int64)
    for start in range(0, len(listed.pairs), _TILE):
        block = slice(start, start + _TILE)
        cosines, is_genuine = pair_cosines(embeddings, listed.pairs[block]), listed.same[block]
        genuine += _histogram(cosines[is_genuine])
        impostor += _histogram(cosines[~is_genuine])
    return PairCounts(genuine, impostor)


def _histogram(cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = np.clip((cosines.astype(np.float64) + 1.0) * (_BINS / 2), 0, _BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=_BINS).astype(np.int64, copy=False)
