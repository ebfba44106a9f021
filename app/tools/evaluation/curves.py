"""The DET and ROC curves of a report: false rejects and true accepts against false accepts over all thresholds."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.tools.evaluation.charts import Axis, Chart, power_ticks
from app.tools.evaluation.evaluation import Evaluation
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS

_MARKED_SCORES = (40, 50, 60)


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
    far = counts.at_or_above(cosines)[1] / max(1, counts.impostor_pairs)
    measured = len(cosines)
    points = [point for point in evaluation.table.impostor if point.cosine > cosines[-1] and point.far < far[-1]]
    if points:
        point_cosines = [cosines[-1], *(point.cosine for point in points)]
        point_log_fars = np.log([far[-1], *(point.far for point in points)])
        extrapolated = np.linspace(point_cosines[0], point_cosines[-1], 51)[1:]
        cosines = np.append(cosines, extrapolated)
        far = np.append(far, np.exp(np.interp(extrapolated, point_cosines, point_log_fars)))
    tar = counts.at_or_above(cosines)[0] / max(1, counts.genuine_pairs)
    return RateCurve(far, tar, cosines, measured)


def det_chart(evaluation: Evaluation, curve: RateCurve) -> str:
    """Return the chart of false rejects against false accepts as SVG."""
    min_frr = 0.5 / max(1, evaluation.counts.genuine_pairs)
    axis = Axis("false rejects (FRR)", min_frr, 1.0, power_ticks(min_frr), is_log=True)
    return _chart("Detection error trade-off", axis, evaluation, curve, 1.0 - curve.tar, -8)


def roc_chart(evaluation: Evaluation, curve: RateCurve) -> str:
    """Return the chart of true accepts against false accepts as SVG."""
    axis = Axis("true accepts (TAR)", 0.0, 1.0, [(n / 10, f"{10 * n} %") for n in range(0, 11, 2)])
    return _chart("Receiver operating characteristic", axis, evaluation, curve, curve.tar, 16)


def _chart(
    title: str, y_axis: Axis, evaluation: Evaluation, curve: RateCurve, y: NDArray[np.float64], label_offset: int
) -> str:
    min_far = 10.0 ** math.floor(math.log10(curve.far[-1]) + 1e-9)
    chart = Chart(title, Axis("false accepts (FAR)", min_far, 1.0, power_ticks(min_far), is_log=True), y_axis)
    last = curve.measured
    chart.line(curve.far[:last], y[:last], "curve")
    if len(curve.far) > last:
        chart.line(curve.far[last - 1 :], y[last - 1 :], "extrapolated")
    for row in evaluation.rows:
        if row.version == FaceModelVersion.V3 and row.score in _MARKED_SCORES:
            far = float(np.exp(np.interp(row.cosine, curve.cosines, np.log(curve.far))))
            chart.dot(far, float(np.interp(row.cosine, curve.cosines, y)), f"{row.score:g}", label_offset)
    return chart.svg()
