"""FAR and TAR over pairs of faces with 95 % intervals.

Pairs share people and are not independent, so a binomial interval is too narrow. The intervals come from a
delete-one-person jackknife (Arvesen, "Jackknifing U-Statistics", 1969): each replicate leaves out one person with all
their pairs. They are symmetric in log-odds, so they stay within 0 and 1.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.scoring.similarity import cosine_matrix
from app.tools.evaluation.pairs import LabelledFaces, ListedPairs, pair_cosines
from app.tools.evaluation.percent import digits, percent

_Z = 1.959964
"""Quantile of the normal distribution, two-sided 95 %."""
_BLOCK_ROWS = 512
_MIN_LOG_ODDS = -700
"""``exp`` of the negated value overflows below it."""


class Rate(NamedTuple):
    """A share of pairs and its 95 % interval, as fractions."""

    value: float
    low: float
    high: float

    @property
    def bound(self) -> str:
        """The bound in percent, such as "< 0.0104 %", if no or all pairs are accepted, else ""."""
        if 0 < self.value < 1:
            return ""
        return f"> {percent(self.low)}" if self.value else f"< {percent(self.high)}"

    def text(self, pairs: int) -> str:
        """Return the rate of ``pairs`` in percent; if no or all pairs are accepted, "< 0.0104 % (0 of 37,018)"."""
        if not pairs:
            return "unknown (no pairs)"
        if self.bound:
            return f"{self.bound} ({self.value * pairs:,.0f} of {pairs:,})"
        return f"{percent(self.value)} [{digits(100 * self.low)}, {digits(100 * self.high)}]"


class Rates(NamedTuple):
    """FAR and TAR at one threshold."""

    far: Rate
    tar: Rate


def binomial(accepted: float, pairs: float) -> Rate:
    """Return the share of independent pairs with Wilson's interval ("Probable Inference", 1927)."""
    if not pairs:
        return Rate(0.0, 0.0, 1.0)
    share, z = accepted / pairs, _Z**2 / pairs
    centre, margin = share + z / 2, _Z * math.sqrt(share * (1 - share) / pairs + z / (4 * pairs))
    return Rate(share, max(0.0, (centre - margin) / (1 + z)), min(1.0, (centre + margin) / (1 + z)))


def rates_over_all_pairs(faces: LabelledFaces, cosines: Sequence[float]) -> list[Rates]:
    """Return FAR and TAR at each of ``cosines`` over all pairs of ``faces``."""
    labels = faces.labels
    images = np.bincount(labels).astype(np.float64)
    impostor_pairs, genuine_pairs = images * (len(labels) - images), images * (images - 1) / 2
    return [
        Rates(
            _jackknife(impostor, impostor_pairs, impostor.sum() / 2, impostor_pairs.sum() / 2),
            _jackknife(genuine / 2, genuine_pairs, genuine.sum() / 2, genuine_pairs.sum()),
        )
        for impostor, genuine in zip(*_accepted_by_person(faces.embeddings, labels, cosines), strict=True)
    ]


def rates_over_listed_pairs(faces: LabelledFaces, listed: ListedPairs, cosines: Sequence[float]) -> list[Rates]:
    """Return FAR and TAR at each of ``cosines`` over listed pairs of ``faces``."""
    labels, similarities = faces.labels, pair_cosines(faces.embeddings, listed.pairs)
    people, is_genuine = int(labels.max()) + 1, listed.same
    rates = []
    for cosine in cosines:
        is_accepted = similarities >= np.float32(cosine)
        far = _listed_rate(labels[listed.pairs[~is_genuine]], is_accepted[~is_genuine], people)
        tar = _listed_rate(labels[listed.pairs[is_genuine]], is_accepted[is_genuine], people)
        rates.append(Rates(far, tar))
    return rates


def _listed_rate(labels: NDArray[np.intp], is_accepted: NDArray[np.bool_], people: int) -> Rate:
    """Return the accepted share of pairs; ``labels`` (P x 2) are the people of each pair."""
    first, second = labels.T
    is_impostor = first != second  # the pair belongs to both people; a genuine pair belongs to one
    pairs_by_person, accepted_by_person = (
        (np.bincount(first, is_counted, people) + np.bincount(second, is_counted & is_impostor, people)).astype(float)
        for is_counted in (np.ones_like(is_accepted), is_accepted)
    )
    return _jackknife(accepted_by_person, pairs_by_person, float(is_accepted.sum()), len(is_accepted))


def _accepted_by_person(
    embeddings: NDArray[np.float32], labels: NDArray[np.intp], cosines: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the impostor and the genuine pairs of each person at or above each cosine (2 arrays, T x people).

    Each impostor pair counts for both people, each genuine pair twice for its person.
    """
    shape = (len(cosines), int(labels.max()) + 1)
    impostor, genuine = np.zeros(shape), np.zeros(shape)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        similarities = cosine_matrix(embeddings[rows], embeddings)
        indices = np.arange(len(similarities))
        similarities[indices, start + indices] = -2.0  # exclude pairs of an image with itself
        same = labels[rows, None] == labels[None]
        for t, cosine in enumerate(cosines):
            is_accepted = similarities >= np.float32(cosine)
            accepted_genuine = (is_accepted & same).sum(axis=1)
            np.add.at(genuine[t], labels[rows], accepted_genuine)
            np.add.at(impostor[t], labels[rows], is_accepted.sum(axis=1) - accepted_genuine)
    return impostor, genuine


def jackknife_error(replicates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the jackknife standard error of an estimate; each row is the estimate without one group (R x ...)."""
    deviations, groups = replicates - replicates.mean(axis=0), len(replicates)
    return np.asarray(np.sqrt((groups - 1) / groups * (deviations**2).sum(axis=0)))


def _jackknife(
    accepted_by_person: NDArray[np.float64], pairs_by_person: NDArray[np.float64], accepted: float, pairs: float
) -> Rate:
    rate = binomial(accepted, pairs)
    remaining_pairs = pairs - pairs_by_person
    if not 0.0 < rate.value < 1.0 or not np.all(remaining_pairs > 0):
        return rate
    replicates = (accepted - accepted_by_person) / remaining_pairs
    log_odds = math.log(rate.value / (1 - rate.value))
    margin = _Z * float(jackknife_error(replicates)) / (rate.value * (1 - rate.value))
    return Rate(rate.value, _share(log_odds - margin), _share(log_odds + margin))


def _share(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds)) if log_odds > _MIN_LOG_ODDS else 0.0
