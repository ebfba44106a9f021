"""The astronaut's face as a quality crop, found by the real detector."""

from __future__ import annotations

import pytest

from app.domain import Face
from app.engine import Pipelines
from app.vision.quality.crop import QualityCrop, quality_crop
from tests.support.images import astronaut, jpeg
from tests.support.pipelines import detect_all


@pytest.fixture(scope="session")
def found(pipelines: Pipelines) -> Face:
    """The face of the astronaut, in her picture."""
    (face,) = detect_all(pipelines.detection, jpeg(astronaut())).faces
    return face


@pytest.fixture(scope="session")
def crop(found: Face) -> QualityCrop:
    return quality_crop(astronaut(), found.landmarks)
