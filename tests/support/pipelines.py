"""Shortcuts through the face pipeline for tests and benchmarks."""

from app.domain import Face, Image, ImageSource, MatchingStrategy
from app.ops.stage_timer import StageTimer
from app.packs.manifest import DetectorSpec
from app.service.face_pipeline import FaceDetectionPipeline
from app.vision.detect.base import Detector
from app.vision.search import detect_coarse, detect_full
from app.vision.selection import select_target

_DEADLINE_S = 60.0


def detect_all(detection: FaceDetectionPipeline, data: ImageSource) -> tuple[Image, list[Face]]:
    """Return the image and all its faces, without rotation."""
    timer = StageTimer.after(_DEADLINE_S)
    return detection.detect_all(detection.parse(data, timer), timer, rotate=False)


def detect_target(
    detector: Detector,
    image: Image,
    spec: DetectorSpec,
    *,
    strategy: MatchingStrategy = MatchingStrategy.LARGEST,
    rotate: bool = False,
) -> Face:
    """Return the target face of decoded pixels, coarse to fine as the pipeline does."""
    if strategy is MatchingStrategy.LARGEST:
        face = detect_coarse(detector, image, spec, rotate=rotate)
        if face is not None:
            return face
    faces = detect_full(detector, image, spec, rotate=rotate)
    return select_target(faces, image, strategy, spec.selection_confidence)
