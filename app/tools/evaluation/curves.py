"""The two curves of a report: errors against each other, and what is accepted, over all thresholds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.calibration import FEWEST_ERRORS
from app.scoring.evaluation import Evaluation
from app.tools.evaluation.charts import Axis, Chart
from app.tools.evaluation.page import figure, percent

_MARKED = (40, 50, 60)
_DOTS = (
    "Dots: scores of 40, 50 and 60. Dashed: extrapolated, because fewer than "
    f"{FEWEST_ERRORS} impostor pairs stand behind it."
)


class Curve(NamedTuple):
    """Rates at ascending cosines; those from ``counted`` on come from the fitted tail."""

    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    cosines: NDArray[np.float64]
    counted: int


def curve_of(evaluation: Evaluation) -> Curve:
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
    return Curve(far, genuine / max(1, counts.genuine_pairs), cosines, counted)


def det(evaluation: Evaluation, curve: Curve) -> str:
    least = 0.5 / max(1, evaluation.counts.genuine_pairs)
    decades = range(math.ceil(math.log10(least)), 1)
    chart = Chart(
        "Detection error trade-off",
        _far_axis(curve),
        Axis("false rejects (FRR)", least, 1.0, [(10.0**n, percent(10.0**n)) for n in decades], is_log=True),
    )
    _draw(chart, evaluation, curve, 1.0 - curve.tar, -8)
    return figure(
        chart,
        "Detection error trade-off (DET): both kinds of error; lower is better, and 0 is drawn at the edge. " + _DOTS,
    )


def roc(evaluation: Evaluation, curve: Curve) -> str:
    ticks = [(n / 10, f"{10 * n} %") for n in range(0, 11, 2)]
    chart = Chart("Receiver operating characteristic", _far_axis(curve), Axis("true accepts (TAR)", 0.0, 1.0, ticks))
    _draw(chart, evaluation, curve, curve.tar, 16)
    return figure(chart, "Receiver operating characteristic (ROC): higher is better. " + _DOTS)


def _far_axis(curve: Curve) -> Axis:
    first = math.floor(math.log10(curve.far[-1]) + 1e-9)
    ticks = [(10.0**n, percent(10.0**n)) for n in range(first, 1)]
    return Axis("false accepts (FAR)", 10.0**first, 1.0, ticks, is_log=True)


def _draw(chart: Chart, evaluation: Evaluation, curve: Curve, heights: NDArray[np.float64], drop: int) -> None:
    last = curve.counted
    chart.line(curve.far[:last], heights[:last], "curve")
    if len(curve.far) > last:
        chart.line(curve.far[last - 1 :], heights[last - 1 :], "guess")
    for row in evaluation.rows:
        if row.version == FaceModelVersion.V3 and row.score in _MARKED:
            far = float(np.exp(np.interp(row.cosine, curve.cosines, np.log(curve.far))))
            chart.mark(far, float(np.interp(row.cosine, curve.cosines, heights)), f"{row.score:g}", drop=drop)
