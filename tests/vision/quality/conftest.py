"""The astronaut's face as a quality crop, found by the real detector."""

from __future__ import annotations

import pytest

from app.domain import Face
from app.engine import Pipelines
from app.ops.deadline import Deadline
from app.vision.quality.crop import QualityCrop, quality_crop
from benchmarks.pictures import astronaut, jpeg


@pytest.fixture(scope="session")
def found(pipelines: Pipelines) -> Face:
    """The face of the astronaut, in her picture."""
    (face,) = pipelines.looker.look(jpeg(astronaut()), Deadline.after(30), rotate=False).faces
    return face


@pytest.fixture(scope="session")
def crop(found: Face) -> QualityCrop:
    return quality_crop(astronaut(), found.landmarks)
