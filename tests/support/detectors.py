"""A detector that counts, and specifications of detectors."""

from app.domain import Face, Image
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.detect.base import Detector


class CountingDetector:
    """Counts the detections of a real detector."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.calls = 0

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self.calls += 1
        return self._detector.detect(image, side)


def detector_spec(
    family: str, confidence: float, selection_confidence: float, landmark_crop: LandmarkCrop
) -> DetectorSpec:
    """Return a specification for images of up to 640 pixels, with an upright confidence of 0.9 and no pitch offset."""
    return DetectorSpec(
        family=family,
        file=f"{family}.onnx",
        confidence=confidence,
        selection_confidence=selection_confidence,
        upright_confidence=0.9,
        max_side=640,
        pitch_offset=0,
        landmark_crop=landmark_crop,
    )
