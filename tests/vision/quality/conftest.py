"""The astronaut's face and its quality crop."""

import pytest

from app.domain import Face
from app.engine import Pipelines
from app.vision.quality.crop import QualityCrop, quality_crop
from tests.support.images import astronaut, jpeg
from tests.support.pipelines import detect_all


@pytest.fixture(scope="session")
def face(pipelines: Pipelines) -> Face:
    """The face of the astronaut, as detected."""
    _, (face,) = detect_all(pipelines.detection, jpeg(astronaut()))
    return face


@pytest.fixture(scope="session")
def crop(face: Face) -> QualityCrop:
    return quality_crop(astronaut(), face.landmarks)
