"""The DET and ROC curves of a report: false rejects and true accepts against false accepts over all thresholds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.calibration import MIN_EXPECTED_IMPOSTORS
from app.scoring.evaluation import Evaluation
from app.tools.evaluation.charts import Axis, Chart
from app.tools.evaluation.page import figure, power_ticks

_MARKED_SCORES = (40, 50, 60)
_LEGEND = (
    "Dots: scores of 40, 50 and 60. Dashed: extrapolated, because fewer than "
    f"{MIN_EXPECTED_IMPOSTORS} impostor pairs score higher."
)


class RateCurve(NamedTuple):
    """FAR and TAR at ascending cosines; the first ``measured`` points are counted, the rest are extrapolated."""

    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    cosines: NDArray[np.float64]
    measured: int


def rate_curve(evaluation: Evaluation) -> RateCurve:
    """Return the rates at 200 measured cosines, and at 50 extrapolated ones if the calibration goes further."""
    counts = evaluation.counts
    min_far = min(1.0, MIN_EXPECTED_IMPOSTORS / max(1, counts.impostor_pairs))
    cosines = np.unique([-1.0, *counts.cosines_at_fars(np.geomspace(1.0, min_far, 200))])
    genuine, impostor = counts.at_or_above(cosines)
    far = impostor / max(1, counts.impostor_pairs)
    measured = len(cosines)
    points = [point for point in evaluation.calibration.impostor if point.cosine > cosines[-1] and point.far < far[-1]]
    if points:
        point_cosines = np.array([cosines[-1], *(point.cosine for point in points)])
        point_log_fars = np.log([far[-1], *(point.far for point in points)])
        extrapolated = np.linspace(point_cosines[0], point_cosines[-1], 51)[1:]
        cosines = np.append(cosines, extrapolated)
        far = np.append(far, np.exp(np.interp(extrapolated, point_cosines, point_log_fars)))
        genuine = np.append(genuine, counts.at_or_above(extrapolated)[0])
    return RateCurve(far, genuine / max(1, counts.genuine_pairs), cosines, measured)


def det(evaluation: Evaluation, curve: RateCurve) -> str:
    """Return the chart of false rejects against false accepts."""
    min_frr = 0.5 / max(1, evaluation.counts.genuine_pairs)
    y_axis = Axis("false rejects (FRR)", min_frr, 1.0, power_ticks(min_frr), is_log=True)
    chart = Chart("Detection error trade-off", _far_axis(curve), y_axis)
    _draw(chart, evaluation, curve, 1.0 - curve.tar, -8)
    return figure(
        chart,
        f"Detection error trade-off (DET): lower is better. An FRR of 0 is drawn at the bottom edge. {_LEGEND}",
    )


def roc(evaluation: Evaluation, curve: RateCurve) -> str:
    """Return the chart of true accepts against false accepts."""
    ticks = [(n / 10, f"{10 * n} %") for n in range(0, 11, 2)]
    chart = Chart("Receiver operating characteristic", _far_axis(curve), Axis("true accepts (TAR)", 0.0, 1.0, ticks))
    _draw(chart, evaluation, curve, curve.tar, 16)
    return figure(chart, f"Receiver operating characteristic (ROC): higher is better. {_LEGEND}")


def _far_axis(curve: RateCurve) -> Axis:
    min_far = 10.0 ** math.floor(math.log10(curve.far[-1]) + 1e-9)
    return Axis("false accepts (FAR)", min_far, 1.0, power_ticks(min_far), is_log=True)


def _draw(
    chart: Chart, evaluation: Evaluation, curve: RateCurve, heights: NDArray[np.float64], label_offset: int
) -> None:
    last = curve.measured
    chart.line(curve.far[:last], heights[:last], "curve")
    if len(curve.far) > last:
        chart.line(curve.far[last - 1 :], heights[last - 1 :], "extrapolated")
    for row in evaluation.rows:
        if row.version == FaceModelVersion.V3 and row.score in _MARKED_SCORES:
            far = float(np.exp(np.interp(row.cosine, curve.cosines, np.log(curve.far))))
            height = float(np.interp(row.cosine, curve.cosines, heights))
            chart.mark(far, height, f"{row.score:g}", label_offset=label_offset)
