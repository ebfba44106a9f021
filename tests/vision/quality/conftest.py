"""The astronaut's face as a quality crop, found by the real detector."""

from __future__ import annotations

import pytest

from app.domain import Face, MatchingStrategy
from app.engine import Pipelines
from app.ops.deadline import Deadline
from app.vision.quality.crop import QualityCrop, quality_crop
from benchmarks.pictures import astronaut, jpeg


@pytest.fixture(scope="session")
def found(pipelines: Pipelines) -> Face:
    """The face of the astronaut, in her picture."""
    largest = MatchingStrategy.LARGEST
    return pipelines.looker.look_at_one(jpeg(astronaut()), largest, Deadline.after(30), rotate=False, whole=True).face


@pytest.fixture(scope="session")
def crop(found: Face) -> QualityCrop:
    return quality_crop(astronaut(), found.landmarks)
