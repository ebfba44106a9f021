"""The upper tail of impostor cosines, beyond what was counted: a generalised Pareto distribution.

Above a high threshold the excesses of most distributions follow it (Pickands 1975). It is fitted by
probability-weighted moments (Hosking and Wallis, "Parameter and Quantile Estimation for the Generalized Pareto
Distribution", 1987), whose notation this is: shape ``k``, scale ``alpha``; ``k > 0`` means a tail that ends. Few pairs
often look as if it ended soon, which promises too much: ``k`` is at most 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NO_SHAPE = 1e-9
_MOST_SHAPE = 0.1
"""On parts of LFW: calibrations on 14 people, meant for FAR 1e-5, had 8e-4 with the pack `open` without this bound and
9e-8 with it; on 200 people and more it changes little."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Impostor cosines above ``threshold``, which the share ``far`` of them reaches."""

    threshold: float
    far: float
    k: float
    alpha: float

    @classmethod
    def fit(cls, threshold: float, far: float, excess: NDArray[np.float64], weights: NDArray[np.float64]) -> Tail:
        """Fit to ``excess`` (cosines less ``threshold``, ascending), each counted ``weights`` times."""
        total = weights.sum()
        above = 1.0 - (np.cumsum(weights) - weights / 2) / total
        first = float((weights * excess).sum() / total)
        second = float((weights * excess * above).sum() / total)
        k = min(first / (first - 2 * second) - 2, _MOST_SHAPE)
        return cls(threshold, far, k, first * (1 + k))

    def cosine_at_far(self, far: float) -> float:
        """The cosine that the share ``far``, smaller than the tail's own, of all impostor pairs reaches."""
        share = far / self.far
        if abs(self.k) < _NO_SHAPE:
            return self.threshold - self.alpha * float(np.log(share))
        return self.threshold + self.alpha / self.k * float(1.0 - share**self.k)
