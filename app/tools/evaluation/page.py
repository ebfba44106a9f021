"""Parts of the report page: style sheet, content security policy, and numbers, tables and charts as HTML."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np

from app.tools.evaluation.charts import Chart

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif;
  --genuine: #0b62a8; --impostor: #c2480a; }
@media (prefers-color-scheme: dark) { :root { --genuine: #6db8f2; --impostor: #f0975a; } }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #8885; padding: .25rem 1rem .25rem 0; text-align: right; vertical-align: top; }
th { border-bottom-color: currentColor; font-weight: 600; vertical-align: bottom; }
.left td, .name td:first-child, .name th:first-child { text-align: left; overflow-wrap: anywhere; }
.left td:first-child { white-space: nowrap; }
small { display: block; opacity: .7; white-space: nowrap; }
figure { margin: 1rem 0; }
figcaption i { font-style: normal; font-weight: 600; }
i.genuine { color: var(--genuine); } i.impostor { color: var(--impostor); }
.caution { border-left: 4px solid var(--impostor); padding-left: 1rem; }
svg { display: block; width: 100%; max-width: 44rem; font-size: 12.5px; fill: currentColor; }
svg .grid { stroke: #8884; } svg .frame { stroke: currentColor; fill: none; }
svg polyline { fill: none; stroke: var(--genuine); stroke-width: 2.5; }
svg .extrapolated { stroke-dasharray: 3 5; }
svg polygon { stroke-width: 1.5; fill-opacity: .25; }
svg polygon.genuine { stroke: var(--genuine); fill: var(--genuine); }
svg polygon.impostor { stroke: var(--impostor); fill: var(--impostor); }
svg circle { fill: var(--impostor); } svg .mark { font-weight: 600; }
@media screen and (max-width: 48rem) { table { display: block; overflow-x: auto; } th, td { white-space: nowrap; }
  .left td:last-child { white-space: normal; } }
@media print {
  :root { color-scheme: light; font-size: .8rem; --genuine: #0b62a8; --impostor: #c2480a; }
  body { margin: 0; max-width: none; }
  figure, tr, table:not(.name) { break-inside: avoid; } h2 { break-after: avoid; } }
"""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)


_MAX_FRACTIONAL = 1000
"""Numbers from here on have no decimals."""


def figure(chart: Chart, caption: str) -> str:
    """Return a chart with its caption, which is HTML."""
    return f"<figure>{chart.svg()}<figcaption>{caption}</figcaption></figure>\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = "") -> str:
    """Return a table; its cells are HTML."""
    titles = "".join(f"<th>{cell}" for cell in head)
    cells = ("".join(f"<td>{cell}" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}" for row in cells)
    return f'<table class="{css_class}"><tr>{titles}{body}</table>\n'


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
