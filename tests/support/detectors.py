"""A detector that counts, and specifications of detectors."""

import numpy as np

from app.domain import Box, Face, Image
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


class RotationBlindDetector:
    """Also finds upside-down faces, with the landmarks of an upright face and a low confidence, as YuNet does."""

    _LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    _CONFIDENCE = 0.81

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        faces = self._detector.detect(image, side)
        height, width = image.shape[:2]
        for face in self._detector.detect(np.ascontiguousarray(image[::-1, ::-1]), side):
            box = Box(width - face.box.right, height - face.box.bottom, width - face.box.left, height - face.box.top)
            landmarks = [box.left, box.top] + self._LANDMARKS * [box.right - box.left, box.bottom - box.top]
            faces.append(Face(box, landmarks.astype(np.float32), self._CONFIDENCE))
        return faces


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
