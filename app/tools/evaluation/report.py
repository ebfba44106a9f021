"""Render an evaluation as one HTML page: charts, tables, and the limits of the numbers.

The page loads no resources and runs no scripts. It names images but shows none.
"""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from app.scoring.calibration import MIN_EXPECTED_IMPOSTORS, Calibration
from app.scoring.evaluation import Evaluation
from app.scoring.intervals import Rate
from app.tools.evaluation.charts import Axis, Chart
from app.tools.evaluation.curves import det, rate_curve, roc
from app.tools.evaluation.page import CONTENT_SECURITY_POLICY, STYLE, digits, figure, percent, power_ticks, table

_BAR_WIDTH = 2.0
"""Points of score per bar of the histogram."""


def render(evaluation: Evaluation) -> str:
    """Return the HTML page of ``evaluation``."""
    calibration = evaluation.calibration
    title = f"Calibration of the pack {calibration.pack}"
    curve = rate_curve(evaluation)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n{_about(calibration)}"
        f"<h2>Scores of pairs</h2>\n{_histogram(evaluation)}{_deciles(evaluation)}"
        f"<h2>FAR and TAR at score thresholds</h2>\n{_thresholds(evaluation)}"
        f"<h2>FAR and TAR over all thresholds</h2>\n{det(evaluation, curve)}{roc(evaluation, curve)}"
        f"<h2>Operating points</h2>\n{_operating_points(evaluation)}"
        f"<h2>Impostor pairs with the highest scores</h2>\n{_hardest_impostors(evaluation)}"
        f"<h2>Limits of these numbers</h2>\n{_limits(calibration)}</html>\n"
    )


def _about(calibration: Calibration) -> str:
    rows = [
        ("Data", escape(calibration.data)),
        ("Measured on", escape(calibration.date)),
        ("People", f"{calibration.people:,}" if calibration.people else "unknown"),
        (
            "Images",
            f"{calibration.images:,} (and {calibration.not_found:,} without a face, left out)",
        ),
        ("Genuine pairs", f"{calibration.genuine_pairs:,} (two images of one person)"),
        ("Impostor pairs", f"{calibration.impostor_pairs:,} (images of two people)"),
        ("Embedder", f"<code>{escape(calibration.embedder_sha256[:16])}</code> (start of the sha256)"),
    ]
    warning = ""
    if calibration.status == "provisional":
        warning = '<p class="caution"><b>Provisional.</b> This calibration was not measured with this embedder.</p>\n'
    return warning + table((), rows, "left")


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
    chart.steps(edges, impostor / max(1, counts.impostor_pairs), "impostor")
    chart.steps(edges, genuine / max(1, counts.genuine_pairs), "genuine")
    return figure(
        chart,
        'Scores of <i class="impostor">impostor pairs</i> and <i class="genuine">genuine pairs</i> in steps of '
        f"{_BAR_WIDTH:g}, on a logarithmic axis. Few pairs lie where the scale is steep, for example just above 60.",
    )


def _deciles(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges, rows = np.arange(0.0, 101.0, 10.0), []
    for low, genuine, impostor in zip(edges[:-1], *_pairs_by_score(evaluation, edges), strict=True):
        tar, far = genuine / max(1, counts.genuine_pairs), impostor / max(1, counts.impostor_pairs)
        ratio = digits(tar / far) if far else "–"
        scores = f"{low:.0f} to {low + 10:.0f}"
        rows.append((scores, f"{genuine:,}", percent(tar), f"{impostor:,}", percent(far), ratio))
    head = ("score", "genuine pairs", "share", "impostor pairs", "share", "likelihood ratio")
    return (
        f"{table(head, rows)}<p>The likelihood ratio compares the shares: if both kinds of pair are equally frequent, "
        "a score in this range comes from a genuine pair that many times more often than from an impostor pair. "
        "A range without impostor pairs has no ratio.</p>\n"
    )


def _thresholds(evaluation: Evaluation) -> str:
    rows = [
        (str(row.version), f"{row.score:g}", f"{row.cosine:.4f}", _rate(row.far), _rate(row.tar))
        for row in evaluation.rows
    ]
    head = ("FaceModelVersion", "threshold on the score", "cosine", "false accepts (FAR)", "true accepts (TAR)")
    return (
        f"{table(head, rows)}<p>Counted on this data, with 95 % intervals. "
        f"A FAR of 0 % means that none of {evaluation.counts.impostor_pairs:,} impostor pairs was accepted. "
        "The scores 40, 50 and 60 of version 3.0 (70, 80 and 90 of 2.0) are defined by FARs of 0.1 %, 0.01 % and "
        "0.001 %.</p>\n"
    )


def _operating_points(evaluation: Evaluation) -> str:
    calibration, counts = evaluation.calibration, evaluation.counts
    rows = [
        (
            percent(point.far),
            f"{point.cosine:.4f}" + (" [{:.4f}, {:.4f}]".format(*point.interval) if point.interval else ""),
            f"{evaluation.scale.score(point.cosine):.1f}",
            percent(counts.tar(point.cosine)),
            digits(calibration.expected_impostors(point)),
            "extrapolated" if point.is_extrapolated else "measured",
        )
        for point in calibration.impostor
    ]
    return table(("FAR", "cosine", "score (3.0)", "TAR", "impostor pairs above", "method"), rows)


def _hardest_impostors(evaluation: Evaluation) -> str:
    rows = [
        (f"{escape(match.a)}<br>{escape(match.b)}", f"{match.cosine:.4f}", f"{match.score:.1f}")
        for match in evaluation.hardest
    ]
    return (
        "<p>Check these images first. One person with two names, or two faces in one image, makes all rates above "
        f"worse than they are.</p>\n{table(('images', 'cosine', 'score (3.0)'), rows, 'name')}"
    )


def _limits(calibration: Calibration) -> str:
    pairs = f"The {calibration.impostor_pairs:,} impostor pairs"
    if calibration.people:
        dependence = f"{pairs} share {calibration.people:,} people and are not independent. The intervals allow for it."
    else:
        dependence = f"{pairs} were listed without the names of the people, so the intervals are too narrow."
    items = (
        (
            "<b>Other data has other rates.</b> The rates hold for people and images like those of "
            f"“{escape(calibration.data)}”. Other cameras, light, ages or a more homogeneous population change them, "
            "often by more than the intervals. Measure on your own images."
        ),
        "<b>Impostor pairs are random pairs of people.</b> Relatives and look-alikes are confused much more often.",
        (
            "<b>The scale was made from these pairs.</b> The FARs at 40, 50 and 60 (70, 80 and 90 of 2.0) therefore "
            "meet their targets on this data. On other people they vary."
        ),
        f"<b>Pairs are not independent.</b> {dependence}",
        (
            f"<b>Extrapolated points</b> have fewer than {MIN_EXPECTED_IMPOSTORS} impostor pairs above them. Their "
            "cosines come from a generalised Pareto distribution fitted to the most similar impostor pairs. This is an "
            "assumption, not a count."
        ),
        "<b>Images without a face are in no pair.</b> A service answers them with an error; TAR does not count them.",
    )
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>\n"


def _pairs_by_score(evaluation: Evaluation, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the genuine and the impostor pairs between score ``edges``; the last range includes its upper edge."""
    cosines = np.array([evaluation.scale.cosine(score) for score in edges[:-1]])
    genuine, impostor = evaluation.counts.at_or_above(cosines)
    return -np.diff(genuine, append=0), -np.diff(impostor, append=0)


def _rate(rate: Rate) -> str:
    return f"{percent(rate.value)}<small>{digits(100 * rate.low)} to {percent(rate.high)}</small>"
