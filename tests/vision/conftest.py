"""The real detector of the pack ``open``."""

import pytest

from app.packs.manifest import DetectorSpec, Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector


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
