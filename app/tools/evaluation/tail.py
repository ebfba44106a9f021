"""Upper tail of the impostor cosines, extrapolated by a generalised Pareto distribution.

Excesses over a high threshold follow this distribution for most parent distributions (Pickands 1975). It is fitted by
probability-weighted moments (Hosking and Wallis, "Parameter and Quantile Estimation for the Generalized Pareto
Distribution", 1987), with their notation: shape ``k``, scale ``alpha``. Cosines end at 1, so it is fitted to the
unbounded ``-log(1 - cosine)``. On LFW the tail is exponential there (``k`` of .002 and -.035 for two packs). Small
samples often suggest a bounded tail (``k`` > 0), which underestimates the FAR, so ``k`` is at most 0.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_EXPONENTIAL_K = 1e-9
"""Below this ``k`` the distribution is treated as exponential."""
_MAX_COSINE = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Tail:
    """Distribution of the impostor cosines above ``threshold``, which the share ``far`` of them reaches."""

    threshold: float
    far: float
    k: float
    alpha: float

    @classmethod
    def fit(cls, threshold: float, far: float, cosines: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Fit to ``cosines``, ascending and at least ``threshold``; ``weights`` are their counts."""
        excess = _unbounded(cosines) - _unbounded(threshold)
        total = weights.sum()
        exceedance = 1.0 - (np.cumsum(weights) - weights / 2) / total
        first_moment = float((weights * excess).sum() / total)
        second_moment = float((weights * excess * exceedance).sum() / total)
        k = 0.0
        if first_moment > 2 * second_moment:
            k = min(first_moment / (first_moment - 2 * second_moment) - 2, 0.0)
        return cls(threshold, far, k, first_moment * (1 + k))

    def cosine_at_far(self, far: float) -> float:
        """Return the cosine that the share ``far`` of all impostor pairs reaches; ``far`` is at most ``self.far``."""
        share = far / self.far
        excess = -np.log(share) if abs(self.k) < _EXPONENTIAL_K else (1.0 - share**self.k) / self.k
        return float(-np.expm1(-(_unbounded(self.threshold) + self.alpha * excess)))


def _unbounded(cosine: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return ``-log(1 - cosine)``."""
    return np.asarray(-np.log1p(-np.minimum(cosine, _MAX_COSINE)))
