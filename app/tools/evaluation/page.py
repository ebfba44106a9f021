"""Numbers, tables and axis ticks of the report page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

_MAX_FRACTIONAL = 1000
"""Numbers from here on have no decimals."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = "") -> str:
    """Return a table; its cells are HTML."""
    titles = "".join(f"<th>{cell}" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f'<table class="{css_class}"><tr>{titles}{body}</table>'


def percent(share: float) -> str:
    return f"{digits(100 * share)} %"


def power_ticks(low: float) -> list[tuple[float, str]]:
    """Return the ticks of a logarithmic axis of shares from ``low`` to 1: the powers of ten in percent."""
    return [(10.0**n, percent(10.0**n)) for n in range(math.ceil(math.log10(low)), 1)]


def digits(value: float) -> str:
    """Return ``value`` with three significant digits, without an exponent."""
    if value >= _MAX_FRACTIONAL:
        return f"{float(f'{value:.3g}'):,.0f}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")
