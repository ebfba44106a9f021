"""The real detector of the pack ``open``, and of every detector family."""

from pathlib import Path

import pytest

from app.packs.manifest import DetectorSpec, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from tests.vision.detect.reference_faces import open_published

_PUBLISHED_FILES = {
    "opencv": "models/yunet/face_detection_yunet_2023mar.onnx",
    "buffalo_s": "models/insightface/det_500m.onnx",
    "buffalo_m": "models/insightface/det_2.5g.onnx",
}
"""Detectors of ``../shared`` by pack."""


@pytest.fixture(scope="session")
def detector(store: Store, pack: Pack) -> Detector:
    """The detector of the pack ``open``."""
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return DETECTORS[pack.detector.family](session, pack.detector)


@pytest.fixture(scope="session")
def spec(pack: Pack) -> DetectorSpec:
    """The detector specification of the pack ``open``."""
    return pack.detector


@pytest.fixture(params=["open", *_PUBLISHED_FILES])
def pack_detector(
    request: pytest.FixtureRequest, detector: Detector, store: Store, shared: Path, tmp_path: Path
) -> tuple[Detector, DetectorSpec]:
    """The detector of a pack, and its specification."""
    spec = store.pack(request.param).detector
    if request.param == "open":
        return detector, spec
    return open_published(shared / _PUBLISHED_FILES[request.param], spec, tmp_path), spec
