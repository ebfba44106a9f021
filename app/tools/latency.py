"""Quantiles of latencies, as the summaries of ``bench load`` and ``shadow`` show them."""

from collections.abc import Sequence

import numpy as np

_QUANTILES = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


def latency_quantiles(milliseconds: Sequence[float], **more: float) -> dict[str, float | None]:
    """Return the usual quantiles and ``more`` quantiles by name, in tenths of a millisecond; None without values."""
    quantiles = _QUANTILES | more
    if not milliseconds:
        return dict.fromkeys(quantiles)
    return {name: round(float(np.quantile(milliseconds, quantile)), 1) for name, quantile in quantiles.items()}
