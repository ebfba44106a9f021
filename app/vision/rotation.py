"""Rotated images (``NeedRotateDetection``): which rotation of an image shows its faces upright.

The image is rotated for the detector only: boxes and landmarks are returned in pixels of the image as it is. Landmarks
keep their meaning (the "left eye" is the left one of the upright face), so that ``align`` makes an upright crop.

Detectors find faces that lean by up to some 30 degrees. They also report most sideways faces, but with landmarks of no
use; :func:`is_upright` drops those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image, Landmarks
from app.vision.align import invert_points, similarity
from app.vision.detect.base import Detector
from app.vision.pose import HEAD

QUARTER_TURNS = (0.0, -90.0, 90.0, 180.0)
DIAGONALS = (-45.0, 45.0, -135.0, 135.0)
"""Degrees clockwise: upright first, then the likeliest."""


class UprightFaces(NamedTuple):
    """The upright faces of an image, and those of them that may end the search for its rotation."""

    faces: list[Face]
    decisive: list[Face]


DetectUpright: TypeAlias = Callable[[Image], UprightFaces]
"""Returns the upright faces of a rotated image, in its pixels."""

_MAX_ROLL = 60.0
"""Degrees of roll from which a detector's landmarks are of no use."""
_MAX_GOOD_ROLL = 25.0
"""Degrees of roll up to which landmarks are good: half the step between two rotations, and a little."""
_MIN_EYE_DISTANCE = 0.26
"""Distance of the eyes in square roots of the box's area, below which landmarks are of no use.

The largest faces of 5,206 upright images have .27 or more (median .37); on sideways faces landmarks gather in the middle.
"""
_EYE_DISTANCE = float(HEAD[1, 0] - HEAD[0, 0])
_EYES_TO_MOUTH = float(HEAD[3, 1] - HEAD[0, 1])
_UPRIGHT_BONUS = 0.02
"""Score by which another rotation must exceed the upright one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """A rotation of an image about its centre, on a canvas that holds all of it.

    ``matrix``: 2 x 3, maps pixels of the image to pixels of the rotated image of ``width`` x ``height``.
    """

    degrees: float
    matrix: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def of(cls, image: Image, degrees: float) -> Self:
        """Return the rotation of ``image`` by ``degrees`` clockwise."""
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((0, 0), -degrees, 1).astype(np.float64).round(12)
        size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
        matrix[:, 2] = (size - 1) / 2 - matrix[:, :2] @ ((width - 1) / 2, (height - 1) / 2)
        return cls(degrees, matrix, int(size[0]), int(size[1]))

    def apply(self, image: Image) -> Image:
        """Return the rotated image, black around it."""
        if not self.degrees:
            return image
        return cv2.warpAffine(image, self.matrix, (self.width, self.height)).astype(np.uint8, copy=False)

    def unrotate_points(self, points: NDArray[np.floating]) -> Landmarks:
        """Map N x 2 points of the rotated image to points of the image."""
        return invert_points(self.matrix, points)

    def unrotate_face(self, face: Face) -> Face:
        """Map a face of the rotated image to the image.

        The box keeps its centre and its sides, and is rotated by the nearest quarter turn.
        """
        if not self.degrees:
            return face
        box = face.box
        x, y = self.unrotate_points(np.array([[box.left + box.right, box.top + box.bottom]]) / 2)[0].tolist()
        half_width, half_height = (box.right - box.left) / 2, (box.bottom - box.top) / 2
        if abs(self.matrix[0, 1]) > abs(self.matrix[0, 0]):
            half_width, half_height = half_height, half_width
        unrotated = Box(x - half_width, y - half_height, x + half_width, y + half_height)
        return Face(unrotated, self.unrotate_points(face.landmarks), face.confidence)


class RotatedFaces(NamedTuple):
    """The upright faces of a rotated image, in its pixels."""

    rotation: Rotation
    faces: list[Face]
    is_certain: bool
    """Whether a decisive face is so confident that it is neither sideways nor upside down."""

    def unrotated(self) -> list[Face]:
        """Return the faces in pixels of the image."""
        return [self.rotation.unrotate_face(face) for face in self.faces]


def uprightness(face: Face) -> float:
    """Return the confidence of ``face``, less the more it leans."""
    return face.confidence * float(np.cos(np.radians(roll(face))))


def detect_rotated(
    detect: DetectUpright,
    image: Image,
    upright_confidence: float,
    *,
    rings: Sequence[Sequence[float]] = (QUARTER_TURNS, DIAGONALS),
    score: Callable[[Face], float] = uprightness,
) -> RotatedFaces:
    """Return the rotation of ``image`` that shows upright faces best, and its faces.

    The search ends at the first rotation with a decisive, near-upright face of ``upright_confidence``, or after a ring
    of rotations without any face. If no rotation is certain, the one with the highest ``score`` of a face is best.
    """
    candidates: list[RotatedFaces] = []
    for ring in rings:
        for degrees in ring:
            rotation = Rotation.of(image, degrees)
            faces, decisive = detect(rotation.apply(image))
            is_certain = any(face.confidence >= upright_confidence and is_near_upright(face) for face in decisive)
            candidates.append(RotatedFaces(rotation, faces, is_certain))
            if is_certain:
                return candidates[-1]
        if not any(candidate.faces for candidate in candidates):
            break
    return max(candidates, key=lambda candidate: _score(candidate, score))


def _score(candidate: RotatedFaces, score: Callable[[Face], float]) -> float:
    return max(map(score, candidate.faces), default=0.0) + (0.0 if candidate.rotation.degrees else _UPRIGHT_BONUS)


def detect_upright(detector: Detector, image: Image, side: int | None = None) -> list[Face]:
    """Return the upright faces of ``image``; ``side`` as in :meth:`Detector.detect`."""
    return [face for face in detector.detect(image, side) if is_upright(face)]


def roll(face: Face) -> float:
    """Roll in degrees, clockwise, in (-180, 180]."""
    return float(np.degrees(np.angle(_scale_and_roll(face))))


def is_near_upright(face: Face) -> bool:
    """Whether the roll is small enough for good landmarks."""
    return abs(roll(face)) <= _MAX_GOOD_ROLL


def is_upright(face: Face) -> bool:
    """Whether the landmarks are those of an upright or leaning face."""
    fitted = _scale_and_roll(face)
    left, right, _, mouth_left, mouth_right = face.landmarks
    height = float(np.hypot(*(mouth_left + mouth_right - left - right))) / 2
    scale = max(abs(fitted), height / _EYES_TO_MOUTH)  # a profile keeps only its height
    is_leaning = abs(float(np.degrees(np.angle(fitted)))) < _MAX_ROLL
    return is_leaning and scale * _EYE_DISTANCE > _MIN_EYE_DISTANCE * face.box.area**0.5


def _scale_and_roll(face: Face) -> complex:
    """Return scale (modulus) and roll (angle) of the head model that fits the landmarks best."""
    matrix = similarity(HEAD[:, :2], face.landmarks)
    return complex(matrix[0, 0], matrix[1, 0])
