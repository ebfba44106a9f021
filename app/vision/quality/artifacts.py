"""Detect artifacts: text or lines over a face (watermarks, overprinted ID photos) and strong compression.

The skin of a face is smooth. Text and lines add edges to it, in colour as well, and strong compression removes its
texture but adds the edges of its blocks. The features are quantiles of the detail of the skin at three scales. Two
linear classifiers use them; ``models/quality/train/artifacts.py`` fits their weights.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Artifact, Crop
from app.vision.quality.crop import FACE_OUTLINE, REGIONS, polygon_mask

_MARGIN = 9  # pixels
_NEIGHBOURHOOD = np.ones((_MARGIN, _MARGIN), np.uint8)  # of a pixel; must be visible
_LEFT, _TOP = np.min(FACE_OUTLINE, axis=0) - _MARGIN
_RIGHT, _BOTTOM = np.max(FACE_OUTLINE, axis=0) + _MARGIN
_WINDOW = slice(_TOP, _BOTTOM), slice(_LEFT, _RIGHT)  # the part of the crop that is measured: the face and a margin

_SCALES = 3  # each has half the pixels per side of the previous one
_SIGMA = 1.2  # pixels; detail is what a Gaussian blur of this sigma removes
_LINE = np.ones((5, 5), np.uint8)  # the top-hat transform finds lines that are narrower than this neighbourhood
_QUANTILES = np.array([0.25, 0.5, 0.75, 0.9, 0.97])
_EPSILON = 0.2  # grey levels; keeps logarithms finite
_HALF = 128  # of 255, the value of a pixel of skin before the mask is halved in size
_MIN_SKIN = 0.2  # share of the skin that must be visible
_YCBCR_OF_BGR = np.array([[0.114, 0.587, 0.299], [0.5, -0.3313, -0.1687], [-0.0813, -0.4187, 0.5]], np.float32)
"""Of JPEG (ITU-T T.871), without the offset of Cb and Cr."""


# From models/quality/train/artifacts.py: per scale the quantiles of Y, Cb, Cr, bright and dark lines; the constant.
# fmt: off
_WEIGHTS = {
    Artifact.OVERLAY: np.array([
        -1.02, -0.89, -2.69, 0.49, 0.67, -4.94, 5.48, -2.45, -1.7, -2.05, -5.56, 1.34, -2.45, -1.08, -0.13, -4.72,
        -0.19, 0.9, -0.36, -0.42, -0.71, -0.35, 0.82, 0.48, -1.4, 1.66, -1.56, 3.62, 2.13, -0.06, -0.07, 0.72,
        2.98, 2.26, 2.37, 1.51, 0.74, 1.65, 2.94, 1.62, -0.13, -0.38, 1.21, -0.15, 0.86, 2.7, -0.08, 0.22, 0.82,
        -0.6, 1.01, 0.07, -1.5, -2.43, -1.38, 1.62, -1.28, -1.16, 0.39, -2.2, 1.43, -0.17, -0.91, -1.06, -1.45,
        0.12, 0.17, -0.11, -0.46, 0.35, 0.32, 0, -0.19, -0.08, 0.49, -8.04,
    ]),
    Artifact.COMPRESSION: np.array([
        -7.39, 1.21, 1.95, 2.32, -0.22, -4.89, -3.26, -1.43, -0.08, -1.26, -2.73, -2.05, -1.26, -0.27, -1.02,
        1.02, -0.63, -0.99, 0.06, 1.08, 0.35, 0.4, -1.2, -0.23, -0.52, 1.01, 3.88, 4.02, -0.19, -0.97, -1.8,
        -0.58, 0.43, 1.35, 0.53, -1.81, 0.23, 1.12, 0.67, 1.13, 0.96, -0.83, 0.04, -0.83, 0.59, 1.19, -0.57, 0.1,
        -1.32, -0.03, -2.08, 1.02, -2.21, -1.68, -0.65, -1.23, 0.1, 0.46, -0.08, 0.81, -0.74, 0.05, 0.49, -0.06,
        0.3, -0.01, 0.53, -0.8, 1.02, 1.19, -1.81, 0.12, 0.52, -0.48, 0.56, -41.82,
    ]),
}
# fmt: on


def measure_artifact(image: Crop, visible: NDArray[np.bool_]) -> Artifact:
    """Return the artifact of the face; the clearer one if the face has both.

    ``image``: a quality crop, SIDE x SIDE x 3, uint8, BGR. ``visible``: SIDE x SIDE, the visible pixels of the face.
    """
    features = artifact_features(image, visible)
    if features is None:
        return Artifact.NONE  # completeness reports it
    estimates = {artifact: float(features @ weights[:-1] + weights[-1]) for artifact, weights in _WEIGHTS.items()}
    clearest = max(estimates, key=lambda artifact: estimates[artifact])
    return clearest if estimates[clearest] > 0 else Artifact.NONE


def _skin() -> NDArray[np.uint8]:
    """Return the face without eyebrows, eyes (and spectacles), nose and mouth."""
    skin = polygon_mask([FACE_OUTLINE])
    for margin, names in ((13, ("eyebrow", "nose", "mouth")), (29, ("eye",))):
        detailed = polygon_mask([polygon for name in names for polygon in REGIONS[name]])
        skin[cv2.dilate(detailed, np.ones((margin, margin), np.uint8)) > 0] = 0
    return skin[_WINDOW]


_SKIN = _skin()


def artifact_features(image: Crop, visible: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return 75 features, or None if too little of the skin is visible; parameters as in ``measure_artifact``."""
    skin = _SKIN & np.asarray(cv2.erode(visible[_WINDOW].astype(np.uint8), _NEIGHBOURHOOD), np.uint8)
    if skin.sum() < _MIN_SKIN * _SKIN.sum():
        return None
    pixels = cv2.transform(image[_WINDOW].astype(np.float32), _YCBCR_OF_BGR)
    quantiles = []
    for scale in range(_SCALES):
        rows = np.flatnonzero(skin)[:: 2 if scale == 0 else 1]
        detail = np.abs(pixels - cv2.GaussianBlur(pixels, _LINE.shape, _SIGMA))
        luma = np.ascontiguousarray(pixels[..., 0])
        lines = [cv2.morphologyEx(luma, operation, _LINE) for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
        values = np.sort(np.concatenate([detail.reshape(-1, 3)[rows].T, [line.ravel()[rows] for line in lines]]))
        quantiles.append(values[:, (_QUANTILES * len(rows)).astype(int)].ravel())
        pixels = cv2.pyrDown(pixels)
        skin = np.asarray(cv2.pyrDown(255 * skin) >= _HALF, np.uint8)
    return np.log(np.concatenate(quantiles).astype(np.float64) + _EPSILON)
