"""Render an evaluation as one HTML page: the charts and tables of ``report.html``, with the style ``report.css``.

The page loads no resources and runs no scripts. It names images but shows none.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion, Population
from app.scoring.calibration import PopulationTable, Status
from app.scoring.scale import Scale
from app.tools.evaluation.charts import Axis, Chart, power_ticks
from app.tools.evaluation.curves import det_chart, rate_curve, roc_chart
from app.tools.evaluation.evaluation import Evaluation
from app.tools.evaluation.group_rates import SCORES, GroupRates
from app.tools.evaluation.intervals import Rate
from app.tools.evaluation.pairs import PairCounts
from app.tools.evaluation.percent import digits, percent
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS

_TEMPLATE = Path(__file__).with_name("report.html")
_STYLE = Path(__file__).with_name("report.css")
_BAR_WIDTH = 2.0
"""Points of score per bar of the histogram."""
_GROUPS = Template("""<h2>FAR by group</h2>
$rates
<p>Counted on the impostor pairs within each group, with 95 % intervals. “general” uses the scores of all pairs.
“matched” uses the scores of pairs within a group ($data).</p>
<h2>Operating points of the population matched</h2>
<p>At each FAR the group with the highest cosine decides.</p>
$points""")
_CAUTIONS = {
    Status.PROVISIONAL: "<b>Provisional.</b> This calibration was not measured with this embedder.",
    Status.PARTLY_EXTRAPOLATED: "<b>Partly extrapolated.</b> The people are too few to measure the FARs at all of the "
    "scores 40, 50 and 60. Do not base decisions about people on this calibration.",
}


def render(evaluation: Evaluation, groups: Sequence[GroupRates] = ()) -> str:
    """Return the HTML page of ``evaluation``.

    ``groups``: the FAR within each group; the calibration then has the population ``matched``.
    """
    calibration, table, curve = evaluation.calibration, evaluation.table, rate_curve(evaluation)
    caution = _CAUTIONS.get(calibration.status(evaluation.population))
    style = _STYLE.read_text(encoding="utf-8")
    if table.people:
        dependence = f"share {table.people:,} people and are not independent. The intervals allow for it."
    else:
        dependence = "were listed without the names of the people, so the intervals are too narrow."
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        pack=escape(calibration.pack),
        data=escape(table.data),
        impostor_pairs=f"{table.impostor_pairs:,}",
        min_impostors=MIN_EXPECTED_IMPOSTORS,
        bar_width=f"{_BAR_WIDTH:g}",
        warning=f'<p class="caution">{caution}</p>' if caution else "",
        about=_about(evaluation),
        histogram=_histogram(evaluation),
        deciles=_deciles(evaluation),
        thresholds=_thresholds(evaluation),
        det=det_chart(evaluation, curve),
        roc=roc_chart(evaluation, curve),
        operating_points=_operating_points(table, evaluation.scale, evaluation.counts),
        groups=_groups(evaluation, groups) if groups else "",
        hardest=_hardest_impostors(evaluation),
        dependence=dependence,
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = "") -> str:
    """Return a table; its cells are HTML."""
    titles = "".join(f"<th>{cell}" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f'<table class="{css_class}"><tr>{titles}{body}</table>'


def _about(evaluation: Evaluation) -> str:
    calibration, table = evaluation.calibration, evaluation.table
    rows = [
        ("Population", str(evaluation.population)),
        ("Data", escape(table.data)),
        ("Measured on", escape(calibration.date)),
        ("People", f"{table.people:,}" if table.people else "unknown"),
        ("Images", f"{table.images:,} (and {table.not_found:,} without a face, left out)"),
        ("Genuine pairs", f"{table.genuine_pairs:,} (two images of one person)"),
        ("Impostor pairs", f"{table.impostor_pairs:,} (images of two people)"),
        ("Embedder", f"<code>{escape(calibration.embedder_sha256[:16])}</code> (start of the sha256)"),
    ]
    return _table((), rows, "left")


def _histogram(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges = np.arange(0.0, 100.0 + _BAR_WIDTH, _BAR_WIDTH)
    genuine, impostor = _pairs_by_score(evaluation, edges)
    min_share = 0.5 / max(counts.genuine_pairs, counts.impostor_pairs, 1)
    chart = Chart(
        "Histogram of scores",
        Axis("score, FaceModelVersion 3.0", 0, 100, [(score, str(score)) for score in range(0, 101, 10)]),
        Axis("share of pairs", min_share, 1.0, power_ticks(min_share), is_log=True),
    )
    chart.histogram(edges, impostor / max(1, counts.impostor_pairs), "impostor")
    chart.histogram(edges, genuine / max(1, counts.genuine_pairs), "genuine")
    return chart.svg()


def _deciles(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges, rows = np.arange(0.0, 101.0, 10.0), []
    for low, genuine, impostor in zip(edges[:-1], *_pairs_by_score(evaluation, edges), strict=True):
        tar, far = genuine / max(1, counts.genuine_pairs), impostor / max(1, counts.impostor_pairs)
        ratio = digits(tar / far) if far else "–"
        scores = f"{low:.0f} to {low + 10:.0f}"
        rows.append((scores, f"{genuine:,}", percent(tar), f"{impostor:,}", percent(far), ratio))
    return _table(("score", "genuine pairs", "share", "impostor pairs", "share", "likelihood ratio"), rows)


def _pairs_by_score(evaluation: Evaluation, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the genuine and the impostor pairs between score ``edges``; the last range includes its upper edge."""
    cosines = np.array([evaluation.scale.cosine(score) for score in edges[:-1]])
    genuine, impostor = evaluation.counts.at_or_above(cosines)
    return -np.diff(genuine, append=0), -np.diff(impostor, append=0)


def _thresholds(evaluation: Evaluation) -> str:
    impostor, genuine = evaluation.counts.impostor_pairs, evaluation.counts.genuine_pairs
    rows = [
        (str(row.version), f"{row.score:g}", f"{row.cosine:.4f}", _rate(row.far, impostor), _rate(row.tar, genuine))
        for row in evaluation.rows
    ]
    head = ("FaceModelVersion", "threshold on the score", "cosine", "false accepts (FAR)", "true accepts (TAR)")
    return _table(head, rows)


def _rate(rate: Rate, pairs: int) -> str:
    if rate.value in {0.0, 1.0}:
        return escape(rate.text(pairs))
    return f"{percent(rate.value)}<small>{digits(100 * rate.low)} to {percent(rate.high)}</small>"


def _groups(evaluation: Evaluation, groups: Sequence[GroupRates]) -> str:
    matched = evaluation.calibration.table(Population.MATCHED)
    rows = []
    for row in groups:
        fars = [_rate(far, row.impostor_pairs) for far in row.fars]
        rows.append((escape(row.group), f"{row.impostor_pairs:,}", str(row.population), *fars))
    head = ("group", "impostor pairs", "population", *(f"FAR at {score:g}" for score in SCORES))
    points = _operating_points(matched, Scale(matched, FaceModelVersion.V3), evaluation.counts)
    return _GROUPS.substitute(rates=_table(head, rows), points=points, data=escape(matched.data))


def _operating_points(table: PopulationTable, scale: Scale, counts: PairCounts) -> str:
    rows = [
        (
            percent(point.far),
            f"{point.cosine:.4f}" + (" [{:.4f}, {:.4f}]".format(*point.interval) if point.interval else ""),
            f"{scale.score(point.cosine):.1f}",
            percent(counts.tar(point.cosine)),
            digits(table.impostor_pairs_above(point)),
            ("extrapolated" if point.is_extrapolated else "measured")
            + (f", {escape(point.group)}" * bool(point.group)),
        )
        for point in table.impostor
    ]
    return _table(("FAR", "cosine", "score (3.0)", "TAR", "impostor pairs above", "method"), rows)


def _hardest_impostors(evaluation: Evaluation) -> str:
    rows = [
        (f"{escape(match.a)}<br>{escape(match.b)}", f"{match.cosine:.4f}", f"{match.score:.1f}")
        for match in evaluation.hardest
    ]
    return _table(("images", "cosine", "score (3.0)"), rows, "name")
