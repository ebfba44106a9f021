"""Face in a picture -> its quality: crop, what covers it, and every measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Image, Landmarks, Quality
from app.vision.quality.brightness import brightness
from app.vision.quality.completeness import completeness
from app.vision.quality.crop import QualityCrop, quality_crop
from app.vision.quality.score import score
from app.vision.quality.sharpness import sharpness
from app.vision.quality.visibility import Visibility


@dataclass(frozen=True, slots=True, eq=False)
class QualityAssessment:
    """The quality and what it was measured on; ``visible`` as ``Visibility.map`` gives it."""

    quality: Quality
    crop: QualityCrop
    visible: NDArray[np.float32]


class QualityAssessor:
    """All measures of one face."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility

    def assess(self, image: Image, landmarks: Landmarks) -> QualityAssessment:
        """QualityGate the face of ``image`` whose landmarks these are."""
        return self.assess_crop(quality_crop(image, landmarks))

    def assess_crop(self, crop: QualityCrop) -> QualityAssessment:
        """QualityGate the face in ``crop``."""
        visible = self._visibility.map(crop)
        sharp, bright, shown = sharpness(crop), brightness(crop, visible), completeness(visible, crop.yaw)
        return QualityAssessment(Quality(score(sharp, bright, shown), sharp, bright, shown), crop, visible)
