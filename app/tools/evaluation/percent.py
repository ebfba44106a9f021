"""Rates for people: percent with three significant digits. JSON and ``calibration.toml`` contain fractions."""

from decimal import Decimal


def percent(share: float, *, trailing_zeros: bool = False) -> str:
    return f"{digits(100 * share, trailing_zeros=trailing_zeros)} %"


def digits(value: float, *, trailing_zeros: bool = False) -> str:
    """Return ``value`` with three significant digits, without an exponent; 0 has no trailing zeros."""
    rounded = Decimal(f"{value:.2e}")
    return f"{rounded if value and trailing_zeros else rounded.normalize():,f}"
