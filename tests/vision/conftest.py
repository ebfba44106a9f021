"""The real detector of the pack ``open``."""

from __future__ import annotations

import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.search import ConfidenceThresholds


@pytest.fixture(scope="session")
def detector(store: Store, pack: Pack) -> Detector:
    """The detector of the pack ``open``."""
    store.build_missing(pack)
    session = OrtSession.open(store.resolve(pack)[pack.detector.file], "cpu", 1)
    return DETECTORS[pack.detector.family](session, pack.detector)


@pytest.fixture(scope="session")
def thresholds(pack: Pack) -> ConfidenceThresholds:
    """The thresholds of the pack ``open``."""
    return ConfidenceThresholds.from_spec(pack.detector)
