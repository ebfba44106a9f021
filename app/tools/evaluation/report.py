"""An evaluation as one HTML page for people: charts, tables, and what the numbers do not promise.

The page loads nothing and runs nothing; it names pictures but shows none.
"""

from __future__ import annotations

import math
from html import escape

import numpy as np
from numpy.typing import NDArray

from app.scoring.calibration import FEWEST_ERRORS, Calibration
from app.scoring.evaluation import Evaluation
from app.scoring.intervals import Rate
from app.tools.evaluation.charts import Axis, Chart
from app.tools.evaluation.curves import curve_of, det, roc
from app.tools.evaluation.page import POLICY, STYLE, digits, figure, percent, table

_BAR = 2.0


def render(evaluation: Evaluation) -> str:
    """Return the page of ``evaluation``."""
    of = evaluation.calibration
    title = f"Calibration of the pack {of.pack}"
    curve = curve_of(evaluation)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>\n'
        f"<h1>{escape(title)}</h1>\n{_about(of)}"
        f"<h2>Scores of pairs</h2>\n{_histogram(evaluation)}{_deciles(evaluation)}"
        f"<h2>What a threshold accepts</h2>\n{_thresholds(evaluation)}"
        f"<h2>Errors against each other</h2>\n{det(evaluation, curve)}{roc(evaluation, curve)}"
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
    return provisional + table((), rows, "left")


def _histogram(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    edges, genuine, impostor = _by_score(evaluation, np.arange(0.0, 100.0 + _BAR, _BAR))
    floor = 0.5 / max(counts.genuine_pairs, counts.impostor_pairs, 1)
    decades = range(math.ceil(math.log10(floor)), 1)
    chart = Chart(
        "Histogram of scores",
        Axis("score, FaceModelVersion 3.0", 0, 100, [(score, str(score)) for score in range(0, 101, 10)]),
        Axis("share of pairs", floor, 1.0, [(10.0**n, percent(10.0**n)) for n in decades], is_log=True),
    )
    chart.steps(edges, impostor / max(1, counts.impostor_pairs), "impostor")
    chart.steps(edges, genuine / max(1, counts.genuine_pairs), "genuine")
    return figure(
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
        ratio = digits(tar / far) if far else "–"
        rows.append((f"{low:.0f} to {low + 10:.0f}", f"{same:,}", percent(tar), f"{other:,}", percent(far), ratio))
    head = ("score", "genuine pairs", "share", "impostor pairs", "share", "likelihood ratio")
    return (
        f"{table(head, rows)}<p>The likelihood ratio says how many times more often a score in this range comes from "
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
        f"{table(head, rows)}<p>As counted on this data, with 95 % intervals. "
        f"A FAR of 0 % means: none of {evaluation.counts.impostor_pairs:,} pairs. What the scores 40, 50 and 60 on "
        "3.0 (70, 80 and 90 on 2.0) stand for are FARs of 0.1 %, 0.01 % and 0.001 %.</p>\n"
    )


def _points(evaluation: Evaluation) -> str:
    of, counts = evaluation.calibration, evaluation.counts
    rows = [
        (
            percent(point.far),
            f"{point.cosine:.4f}" + (" [{:.4f}, {:.4f}]".format(*point.interval) if point.interval else ""),
            f"{evaluation.scale.score(point.cosine):.1f}",
            percent(counts.tar(point.cosine)),
            f"{digits(of.errors(point))}",
            "extrapolated" if point.is_extrapolated else "measured",
        )
        for point in of.impostor
    ]
    return table(("FAR", "cosine", "score (3.0)", "TAR", "impostor pairs above", "how"), rows)


def _worst(evaluation: Evaluation) -> str:
    rows = [
        (f"{escape(match.a)}<br>{escape(match.b)}", f"{match.cosine:.4f}", f"{match.score:.1f}")
        for match in evaluation.worst
    ]
    return (
        "<p>Look at these pictures first: the same person under two names, or two faces in one picture, makes every "
        f"rate above worse than it is.</p>\n{table(('pictures', 'cosine', 'score (3.0)'), rows, 'name')}"
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


def _by_score(
    evaluation: Evaluation, edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return ``edges``, and the genuine and the impostor pairs between them; the last edge belongs to the last."""
    cosines = np.array([evaluation.scale.cosine(score) for score in edges[:-1]])
    genuine, impostor = evaluation.counts.above(cosines)
    return edges, -np.diff(genuine, append=0), -np.diff(impostor, append=0)


def _rate(rate: Rate) -> str:
    return f"{percent(rate.value)}<small>{digits(100 * rate.low)} to {percent(rate.high)}</small>"
