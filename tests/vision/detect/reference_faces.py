"""Detectors from published files, and their faces matched with those of another program."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import Face, Image
from app.packs.convert import onnx_graph
from app.packs.manifest import DetectorSpec
from app.runtime.session import OrtSession
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from tests.support.images import astronaut, cast

ASTRONAUT_LANDMARKS = [(203.5, 101.5), (246.5, 103.6), (223, 127), (204.5, 141.6), (242.6, 142.6)]
"""Landmarks of the astronaut, marked by hand."""


class ReferenceFace(NamedTuple):
    """A face that another program detected: box (left, top, right, bottom), landmarks 5 x 2, score."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float


class MatchedFaces(NamedTuple):
    """The faces that both programs detected, and the number of faces that only one detected."""

    pairs: list[tuple[Face, ReferenceFace]]
    unmatched: int


def open_published(path: Path, spec: DetectorSpec, folder: Path) -> Detector:
    """Open the detector of a published file; the converted file is written to ``folder``."""
    converted = folder / spec.file
    converted.write_bytes(onnx_graph.clean(path.read_bytes()))
    return DETECTORS[spec.family](OrtSession.open(converted, "cpu", 1), spec)


def people(shared: Path) -> Iterator[Image]:
    """Yield about 120 images with one or several faces, near and far, with and without masks."""
    yield astronaut()
    yield cast()
    paths = sorted((shared / "data/lfw").glob("*/*.jpg"))[::65]
    paths += sorted((shared / "data/masks/with_mask").iterdir())[::8]
    paths += sorted((shared / "data/london").glob("*/neutral.jpg"))
    for path in paths:
        image = cv2.imread(str(path))
        assert image is not None, path
        yield np.asarray(image, np.uint8)


def match_faces(faces: Sequence[Face], references: Sequence[ReferenceFace]) -> MatchedFaces:
    """Match faces whose noses are less than one pixel apart."""
    remaining, pairs = list(references), []
    for face in faces:
        for index, reference in enumerate(remaining):
            if np.abs(face.landmarks[2] - reference.landmarks[2]).max() < 1:
                pairs.append((face, remaining.pop(index)))
                break
    return MatchedFaces(pairs, len(faces) + len(references) - 2 * len(pairs))


def edges(face: Face) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the face's box."""
    return face.box.left, face.box.top, face.box.right, face.box.bottom
