"""The upper tail of impostor cosines, beyond what was counted: a generalised Pareto distribution.

Above a high threshold the excesses of most distributions follow it (Pickands 1975). It is fitted by
probability-weighted moments (Hosking and Wallis, "Parameter and Quantile Estimation for the Generalized Pareto
Distribution", 1987), whose notation this is: shape ``k``, scale ``alpha``. Cosines end at 1, so it is fitted to
``-log(1 - cosine)``, which does not end. There LFW's tail is exponential with both packs that could be measured (``k``
of .002 and -.035). Few pairs often look as if their tail ended soon, which promises too much: ``k`` is at most 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NO_SHAPE = 1e-9
_NEAREST_1 = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Tail:
    """Impostor cosines above ``threshold``, which the share ``far`` of them reaches."""

    threshold: float
    far: float
    k: float
    alpha: float

    @classmethod
    def fit(cls, threshold: float, far: float, cosines: NDArray[np.float64], weights: NDArray[np.float64]) -> Tail:
        """Fit to ``cosines``, ascending, not below ``threshold``, each counted ``weights`` times."""
        excess = _stretched(cosines) - _stretched(threshold)
        total = weights.sum()
        above = 1.0 - (np.cumsum(weights) - weights / 2) / total
        first = float((weights * excess).sum() / total)
        second = float((weights * excess * above).sum() / total)
        k = min(first / (first - 2 * second) - 2, 0.0) if first > 2 * second else 0.0
        return cls(threshold, far, k, first * (1 + k))

    def cosine_at_far(self, far: float) -> float:
        """The cosine that the share ``far``, smaller than the tail's own, of all impostor pairs reaches."""
        share = far / self.far
        excess = -np.log(share) if abs(self.k) < _NO_SHAPE else (1.0 - share**self.k) / self.k
        return float(-np.expm1(-(_stretched(self.threshold) + self.alpha * excess)))


def _stretched(cosine: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(-np.log1p(-np.minimum(cosine, _NEAREST_1)))
