"""An evaluation as one HTML page for people: charts, tables, and what the numbers do not promise.

The page loads nothing and runs nothing; it names pictures but shows none.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.cli.charts import Axis, Chart
from app.domain import FaceModelVersion
from app.scoring.calibration import FEWEST_ERRORS, Calibration
from app.scoring.evaluation import Evaluation
from app.scoring.intervals import Rate

_STYLE = """
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
svg .guess { stroke-dasharray: 3 5; }
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
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
_MARKED = (40, 50, 60)
_BAR = 2.0


class _Curve(NamedTuple):
    """Rates at ascending cosines; those from ``counted`` on come from the fitted tail."""

    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    cosines: NDArray[np.float64]
    counted: int


def render(evaluation: Evaluation) -> str:
    """Return the page of ``evaluation``."""
    of = evaluation.calibration
    title = f"Calibration of the pack {of.pack}"
    curve = _curve(evaluation)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n{_about(of)}"
        f"<h2>Scores of pairs</h2>\n{_histogram(evaluation)}{_deciles(evaluation)}"
        f"<h2>What a threshold accepts</h2>\n{_thresholds(evaluation)}"
        f"<h2>Errors against each other</h2>\n{_det(evaluation, curve)}{_roc(evaluation, curve)}"
        f"<h2>Operating points</h2>\n{_points(evaluation)}"
        f"<h2>Strangers who look most alike</h2>\n{_worst(evaluation)}"
        f"<h2>What these numbers promise, and what not</h2>\n{_limits(of)}</html>\n"
    )


def _about(of: Calibration) -> str:
    rows = [
        ("Data", escape(of.data)),
        ("Measured on", escape(of.date)),
        ("People", f"{of.people:,}" if of.people else "not said"),
        ("Pictures", f"{of.pictures:,}, and {of.not_found:,} left out because no face was found in them"),
        ("Genuine pairs", f"{of.genuine_pairs:,} of two pictures of the same person"),
        ("Impostor pairs", f"{of.impostor_pairs:,} of two different people"),
        ("Embedder", f"<code>{escape(of.embedder_sha256[:16])}</code> (sha256, beginning)"),
    ]
    provisional = (
        '<p class="caution"><b>Provisional.</b> This calibration was not measured with this embedder.</p>\n'
        if of.status == "provisional"
        else ""
    )
    return provisional + _table((), rows, "left")


def _histogram(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges, genuine, impostor = _by_score(evaluation, np.arange(0.0, 100.0 + _BAR, _BAR))
    floor = 0.5 / max(counts.genuine_pairs, counts.impostor_pairs, 1)
    decades = range(math.ceil(math.log10(floor)), 1)
    chart = Chart(
        "Histogram of scores",
        Axis("score, FaceModelVersion 3.0", 0, 100, [(score, str(score)) for score in range(0, 101, 10)]),
        Axis("share of pairs", floor, 1.0, [(10.0**n, _percent(10.0**n)) for n in decades], is_log=True),
    )
    chart.steps(edges, impostor / max(1, counts.impostor_pairs), "impostor")
    chart.steps(edges, genuine / max(1, counts.genuine_pairs), "genuine")
    return _figure(
        chart,
        'Scores of pairs of <i class="impostor">different people</i> and of <i class="genuine">the same person</i>, '
        f"in steps of {_BAR:g}, on a logarithmic axis. Few pairs fall where the scale is steep, as just above 60.",
    )


def _deciles(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges, genuine, impostor = _by_score(evaluation, np.arange(0.0, 101.0, 10.0))
    rows = []
    for low, same, other in zip(edges, genuine, impostor, strict=False):
        tar, far = same / max(1, counts.genuine_pairs), other / max(1, counts.impostor_pairs)
        ratio = _digits(tar / far) if far else "–"
        rows.append((f"{low:.0f} to {low + 10:.0f}", f"{same:,}", _percent(tar), f"{other:,}", _percent(far), ratio))
    head = ("score", "genuine pairs", "share", "impostor pairs", "share", "likelihood ratio")
    return (
        f"{_table(head, rows)}<p>The likelihood ratio says how many times more often a score in this range comes from "
        "the same person than from two different people, if both kinds of pair are equally frequent. No ratio is given "
        "where no impostor pair fell.</p>\n"
    )


def _thresholds(evaluation: Evaluation) -> str:
    rows = [
        (str(row.version), f"{row.score:g}", f"{row.cosine:.4f}", _rate(row.far), _rate(row.tar))
        for row in evaluation.rows
    ]
    head = ("FaceModelVersion", "accept at a score of", "cosine", "false accepts (FAR)", "true accepts (TAR)")
    return (
        f"{_table(head, rows)}<p>As counted on this data, with 95 % intervals. "
        f"A FAR of 0 % means: none of {evaluation.counts.impostor_pairs:,} pairs. What the scores 40, 50 and 60 on "
        "3.0 (70, 80 and 90 on 2.0) stand for are FARs of 0.1 %, 0.01 % and 0.001 %.</p>\n"
    )


def _det(evaluation: Evaluation, curve: _Curve) -> str:
    least = 0.5 / max(1, evaluation.counts.genuine_pairs)
    decades = range(math.ceil(math.log10(least)), 1)
    chart = Chart(
        "Detection error trade-off",
        _far_axis(curve),
        Axis("false rejects (FRR)", least, 1.0, [(10.0**n, _percent(10.0**n)) for n in decades], is_log=True),
    )
    _draw(chart, evaluation, curve, 1.0 - curve.tar, -8)
    return _figure(
        chart,
        "Detection error trade-off (DET): both kinds of error; lower is better, and 0 is drawn at the edge. " + _DOTS,
    )


def _roc(evaluation: Evaluation, curve: _Curve) -> str:
    ticks = [(n / 10, f"{10 * n} %") for n in range(0, 11, 2)]
    chart = Chart("Receiver operating characteristic", _far_axis(curve), Axis("true accepts (TAR)", 0.0, 1.0, ticks))
    _draw(chart, evaluation, curve, curve.tar, 16)
    return _figure(chart, "Receiver operating characteristic (ROC): higher is better. " + _DOTS)


_DOTS = (
    "Dots: scores of 40, 50 and 60. Dashed: extrapolated, because fewer than "
    f"{FEWEST_ERRORS} impostor pairs stand behind it."
)


def _points(evaluation: Evaluation) -> str:
    of, counts = evaluation.calibration, evaluation.counts
    rows = [
        (
            _percent(point.far),
            f"{point.cosine:.4f}" + (" [{:.4f}, {:.4f}]".format(*point.interval) if point.interval else ""),
            f"{evaluation.scale.score(point.cosine):.1f}",
            _percent(counts.tar(point.cosine)),
            f"{_digits(of.errors(point))}",
            "extrapolated" if point.is_extrapolated else "measured",
        )
        for point in of.impostor
    ]
    return _table(("FAR", "cosine", "score (3.0)", "TAR", "impostor pairs above", "how"), rows)


def _worst(evaluation: Evaluation) -> str:
    rows = [
        (f"{escape(match.a)}<br>{escape(match.b)}", f"{match.cosine:.4f}", f"{match.score:.1f}")
        for match in evaluation.worst
    ]
    return (
        "<p>Look at these pictures first: the same person under two names, or two faces in one picture, makes every "
        f"rate above worse than it is.</p>\n{_table(('pictures', 'cosine', 'score (3.0)'), rows, 'name')}"
    )


def _limits(of: Calibration) -> str:
    texts = (
        (
            "<b>Other people, other rates.</b> The rates hold for people and pictures like those of "
            f"“{escape(of.data)}”. With other cameras, light, ages or a population whose members look more alike they "
            "differ, often by more than the intervals. Measure on pictures of your own."
        ),
        (
            "<b>Strangers at random.</b> A FAR counts two arbitrary people. Relatives, and people who were looked for "
            "because they look alike, are taken for each other much more often."
        ),
        (
            "<b>The scale was made from these pairs</b>, so that the FARs at 40, 50 and 60 (70, 80 and 90 on 2.0) meet "
            "their targets here by construction. On people that it has not seen they scatter."
        ),
        (
            f"<b>Pairs share people.</b> {of.impostor_pairs:,} pairs "
            + (
                f"of {of.people:,} people say less than as many independent ones. The intervals allow for it."
                if of.people
                else "were listed without saying who is who: the intervals are too narrow."
            )
        ),
        (
            f"<b>Extrapolated</b> is what fewer than {FEWEST_ERRORS} impostor pairs stand behind. There the cosine "
            "comes from a generalised Pareto distribution fitted to the most alike impostor pairs: an assumption, not "
            "a count."
        ),
        "<b>Pictures without a face are in no pair.</b> A service answers them with an error; TAR does not count them.",
    )
    return f"<ul>{''.join(f'<li>{text}</li>' for text in texts)}</ul>\n"


def _curve(evaluation: Evaluation) -> _Curve:
    """Return the rates at 200 counted cosines, and at 50 beyond them where the calibration goes on."""
    of, counts = evaluation.calibration, evaluation.counts
    least = min(1.0, FEWEST_ERRORS / max(1, counts.impostor_pairs))
    cosines = np.unique([-1.0, *counts.cosines_at_fars(np.geomspace(1.0, least, 200))])
    genuine, impostor = counts.above(cosines)
    far = impostor / max(1, counts.impostor_pairs)
    counted = len(cosines)
    beyond = [point for point in of.impostor if point.cosine > cosines[-1] and point.far < far[-1]]
    if beyond:
        known = np.array([cosines[-1], *(point.cosine for point in beyond)])
        fars = np.log([far[-1], *(point.far for point in beyond)])
        more = np.linspace(known[0], known[-1], 51)[1:]
        cosines, far = np.append(cosines, more), np.append(far, np.exp(np.interp(more, known, fars)))
        genuine = np.append(genuine, counts.above(more)[0])
    return _Curve(far, genuine / max(1, counts.genuine_pairs), cosines, counted)


def _far_axis(curve: _Curve) -> Axis:
    first = math.floor(math.log10(curve.far[-1]) + 1e-9)
    ticks = [(10.0**n, _percent(10.0**n)) for n in range(first, 1)]
    return Axis("false accepts (FAR)", 10.0**first, 1.0, ticks, is_log=True)


def _draw(chart: Chart, evaluation: Evaluation, curve: _Curve, heights: NDArray[np.float64], drop: int) -> None:
    last = curve.counted
    chart.line(curve.far[:last], heights[:last], "curve")
    if len(curve.far) > last:
        chart.line(curve.far[last - 1 :], heights[last - 1 :], "guess")
    for row in evaluation.rows:
        if row.version == FaceModelVersion.V3 and row.score in _MARKED:
            far = float(np.exp(np.interp(row.cosine, curve.cosines, np.log(curve.far))))
            chart.mark(far, float(np.interp(row.cosine, curve.cosines, heights)), f"{row.score:g}", drop=drop)


def _by_score(
    evaluation: Evaluation, edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return ``edges``, and the genuine and the impostor pairs between them; the last edge belongs to the last."""
    cosines = np.array([evaluation.scale.cosine(score) for score in edges[:-1]])
    genuine, impostor = evaluation.counts.above(cosines)
    return edges, -np.diff(genuine, append=0), -np.diff(impostor, append=0)


def _figure(chart: Chart, caption: str) -> str:
    return f"<figure>{chart.svg()}<figcaption>{caption}</figcaption></figure>\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table of cells that are HTML already."""
    titles = "".join(f"<th>{cell}" for cell in head)
    lines = ("".join(f"<td>{cell}" for cell in row) for row in rows)
    return f'<table class="{kind}"><tr>{titles}{"".join(f"<tr>{line}" for line in lines)}</table>\n'


def _rate(rate: Rate) -> str:
    return f"{_percent(rate.value)}<small>{_digits(100 * rate.low)} to {_percent(rate.high)}</small>"


def _percent(share: float) -> str:
    return f"{_digits(100 * share)} %"


def _digits(value: float) -> str:
    """Return ``value`` to three digits, never as a power of ten."""
    if value >= 1000:  # noqa: PLR2004
        return f"{float(f'{value:.3g}'):,.0f}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")
