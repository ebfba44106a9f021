"""Rates for people: percent with three significant digits. JSON and ``calibration.toml`` contain fractions."""

import numpy as np

_MAX_FRACTIONAL = 1000
"""Numbers from here on have no decimals."""


def percent(share: float) -> str:
    return f"{digits(100 * share)} %"


def digits(value: float) -> str:
    """Return ``value`` with three significant digits, without an exponent."""
    if value >= _MAX_FRACTIONAL:
        return f"{float(f'{value:.3g}'):,.0f}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")
