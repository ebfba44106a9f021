"""Conversion of cosines to scores on the vendor's two scales.

The vendor documents three points: FAR 0.1 %, 0.01 % and 0.001 % are the scores 40, 50, 60 of version 3.0 and 70, 80,
90 of version 2.0, ten points per power of ten. Lower scores continue to follow the FAR. Higher scores follow the TAR:
by the FAR, genuine pairs would rarely reach the thresholds of 70 to 85 that some applications use.
``_SCORE_AT_TAR_RATIO`` maps a ratio to the score at the cosine whose TAR is this fraction of the TAR at FAR 0.001 %.
Between the points the scale is a monotone cubic (PCHIP; Fritsch and Butland, 1984).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.domain import FaceModelVersion
from app.scoring.calibration import THRESHOLD_FARS, CalibrationError, PopulationTable

_SCORE_AT_FAR: Mapping[FaceModelVersion, Mapping[float, float]] = {
    FaceModelVersion.V3: {0.5: 3, 1e-1: 15, 1e-2: 28, 1e-3: 40, 1e-4: 50, 1e-5: 60},
    FaceModelVersion.V2: {0.5: 10, 1e-1: 30, 1e-2: 50, 1e-3: 70, 1e-4: 80, 1e-5: 90},
}
SCORE_THRESHOLDS: Mapping[FaceModelVersion, Mapping[float, float]] = {
    version: {scores[far]: far for far in THRESHOLD_FARS} for version, scores in _SCORE_AT_FAR.items()
}
"""The documented thresholds on the score, from lenient to strict, and their FARs."""
_SCORE_AT_TAR_RATIO: Mapping[FaceModelVersion, Mapping[float, float]] = {
    FaceModelVersion.V3: {0.95: 80, 0.75: 90},
    FaceModelVersion.V2: {0.95: 95, 0.75: 97.5},
}
_STEPS = 256
"""Straight pieces between two points: at most 1e-4 from the cubic."""


class Scale:
    """A strictly increasing map between cosines in [-1, 1] and scores in [0, 100]."""

    def __init__(self, table: PopulationTable, version: FaceModelVersion) -> None:
        """Raise :class:`CalibrationError` if the table gives no increasing scale."""
        points = [(-1.0, 0.0), (1.0, 100.0)]
        points += [(table.cosine_at_far(far), score) for far, score in _SCORE_AT_FAR[version].items()]
        tar = table.tar_at_cosine(table.cosine_at_far(1e-5))
        ratios = _SCORE_AT_TAR_RATIO[version]
        points += [(table.cosine_at_tar(ratio * tar), score) for ratio, score in ratios.items()]
        cosines, scores = np.array(sorted(points)).T
        if not (np.all(np.diff(cosines) > 0) and np.all(np.diff(scores) > 0)):
            raise CalibrationError(
                f"the calibration on {table.data} gives no increasing scale: use more people and images"
            )
        self._cosines, self._scores = _monotone_cubic(cosines, scores)

    def score(self, cosine: float) -> float:
        """Return the unrounded score of ``cosine``."""
        return float(np.interp(cosine, self._cosines, self._scores))

    def cosine(self, score: float) -> float:
        """Return the cosine of ``score``."""
        return float(np.interp(score, self._scores, self._cosines))


def _monotone_cubic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cubic through the increasing points (x, y), sampled in small steps."""
    width, slope = np.diff(x), np.diff(y) / np.diff(x)
    left, right = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    inner = (left + right) / (left / slope[:-1] + right / slope[1:])  # weighted harmonic mean
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])
    t = np.linspace(0.0, 1.0, _STEPS, endpoint=False)
    w, low, high = width[:, None], tangent[:-1, None], tangent[1:, None]
    rise = (3 - 2 * t) * t**2
    pieces = y[:-1, None] + np.diff(y)[:, None] * rise + w * t * (1 - t) * (low * (1 - t) - high * t)
    return np.append((x[:-1, None] + w * t).ravel(), x[-1]), np.append(pieces.ravel(), y[-1])
