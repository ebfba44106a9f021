"""Pictures of people, and the faces that two detectors find in them side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Face, Image
from tests.support.images import astronaut, cast


class Other(NamedTuple):
    """A face as another program tells it: box (left, top, right, bottom), landmarks 5 x 2, score."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float


class Paired(NamedTuple):
    """Faces found by both, and how many were found by one alone."""

    faces: list[tuple[Face, Other]]
    alone: int


def people(shared: Path) -> Iterator[Image]:
    """One face or several, near and far, with masks and without: some 120 pictures."""
    yield astronaut()
    yield cast()
    paths = sorted((shared / "data/lfw").glob("*/*.jpg"))[::65]
    paths += sorted((shared / "data/masks/with_mask").iterdir())[::8]
    paths += sorted((shared / "data/london").glob("*/neutral.jpg"))
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None, path
        yield np.asarray(picture, np.uint8)


def pair_up(ours: Sequence[Face], theirs: Sequence[Other]) -> Paired:
    """Pair the faces whose noses are the same within a pixel."""
    left, pairs = list(theirs), []
    for face in ours:
        for place, other in enumerate(left):
            if np.abs(face.landmarks[2] - other.landmarks[2]).max() < 1:
                pairs.append((face, left.pop(place)))
                break
    return Paired(pairs, len(ours) + len(theirs) - 2 * len(pairs))


def edges(face: Face) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    return face.box.left, face.box.top, face.box.right, face.box.bottom
