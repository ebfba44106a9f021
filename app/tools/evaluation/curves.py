"""The charts of a report: the histogram of scores, and FRR (DET) and TAR (ROC) against FAR over all thresholds."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.scale import SCORE_THRESHOLDS
from app.tools.evaluation.charts import Axis, Chart, power_ticks
from app.tools.evaluation.evaluation import Evaluation
from app.tools.evaluation.report_texts import Texts
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS

BAR_WIDTH = 2.0
"""Points of score per bar of the histogram."""
_MARKED_SCORES = tuple(SCORE_THRESHOLDS[FaceModelVersion.V3])


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


def histogram(evaluation: Evaluation, texts: Texts) -> str:
    """Return the histogram of scores, with the documented thresholds, as SVG."""
    counts = evaluation.counts
    edges = np.arange(0.0, 100.0 + BAR_WIDTH, BAR_WIDTH)
    genuine, impostor = pairs_by_score(evaluation, edges)
    min_share = 0.5 / max(counts.genuine_pairs, counts.impostor_pairs, 1)
    chart = Chart(
        texts("histogramTitle"),
        Axis(texts("scoreAxis"), 0, 100, [(score, str(score)) for score in range(0, 101, 10)]),
        Axis(texts("shareAxis"), min_share, 1.0, power_ticks(min_share), is_log=True),
    )
    chart.histogram(edges, impostor / max(1, counts.impostor_pairs), "impostor")
    chart.histogram(edges, genuine / max(1, counts.genuine_pairs), "genuine")
    for score in _MARKED_SCORES:
        chart.threshold(score, f"{score:g}")
    return chart.svg()


def pairs_by_score(evaluation: Evaluation, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the genuine and the impostor pairs between score ``edges``; the last range includes its upper edge."""
    cosines = np.array([evaluation.scale.cosine(score) for score in edges[:-1]])
    genuine, impostor = evaluation.counts.at_or_above(cosines)
    return -np.diff(genuine, append=0), -np.diff(impostor, append=0)


def det_chart(evaluation: Evaluation, curve: RateCurve, texts: Texts) -> str:
    """Return the chart of false rejects against false accepts as SVG."""
    min_frr = 0.5 / max(1, evaluation.counts.genuine_pairs)
    axis = Axis(texts("frr"), min_frr, 1.0, power_ticks(min_frr), is_log=True)
    chart = Chart(texts("detTitle"), _far_axis(curve, texts), axis)
    return _svg_with_curve(chart, evaluation, curve, 1.0 - curve.tar, -8)


def roc_chart(evaluation: Evaluation, curve: RateCurve, texts: Texts) -> str:
    """Return the chart of true accepts against false accepts as SVG."""
    axis = Axis(texts("tar"), 0.0, 1.0, [(n / 10, f"{10 * n} %") for n in range(0, 11, 2)])
    chart = Chart(texts("rocTitle"), _far_axis(curve, texts), axis)
    return _svg_with_curve(chart, evaluation, curve, curve.tar, 16)


def _far_axis(curve: RateCurve, texts: Texts) -> Axis:
    min_far = 10.0 ** math.floor(math.log10(curve.far[-1]) + 1e-9)
    return Axis(texts("far"), min_far, 1.0, power_ticks(min_far), is_log=True)


def _svg_with_curve(
    chart: Chart, evaluation: Evaluation, curve: RateCurve, y: NDArray[np.float64], label_offset: int
) -> str:
    last = curve.measured
    chart.line(curve.far[:last], y[:last], "curve")
    if len(curve.far) > last:
        chart.line(curve.far[last - 1 :], y[last - 1 :], "extrapolated")
    for row in evaluation.rows:
        if row.version == FaceModelVersion.V3 and row.score in _MARKED_SCORES:
            far = float(np.exp(np.interp(row.cosine, curve.cosines, np.log(curve.far))))
            chart.dot(far, float(np.interp(row.cosine, curve.cosines, y)), f"{row.score:g}", label_offset)
    return chart.svg()
