"""Detectors for tests and benchmarks: those whose weights are available, a counting one, and specifications."""

from pathlib import Path
from tempfile import TemporaryDirectory

from app.domain import Face, Image
from app.packs.convert import onnx_graph
from app.packs.manifest import DetectorSpec, LandmarkCrop, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from tests.support.rotation import SHARED


def detectors(store: Store, pack: Pack) -> dict[str, tuple[Detector, DetectorSpec]]:
    """Return detectors and their specifications by pack: that of ``pack``, and published files that exist."""
    opened = {pack.name: _open(store, pack, store.resolve(pack)[pack.detector.file].read_bytes())}
    others = {"opencv": "yunet/face_detection_yunet_2023mar.onnx", "buffalo_m": "insightface/det_2.5g.onnx"}
    for name, file in others.items():
        if name != pack.name and (SHARED / "models" / file).is_file():
            content = (SHARED / "models" / file).read_bytes()
            opened[name] = _open(store, store.pack(name), onnx_graph.clean(content) if name == "opencv" else content)
    return opened


def _open(store: Store, pack: Pack, content: bytes) -> tuple[Detector, DetectorSpec]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / pack.detector.file
        path.write_bytes(content)
        return DETECTORS[pack.detector.family](OrtSession.open(path, "cpu", 1), pack.detector), pack.detector


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
