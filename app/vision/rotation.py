"""Find the rotation at which the faces of an image are upright (``NeedRotateDetection``).

Only the detector's input is rotated: boxes and landmarks are returned in pixels of the image. Landmarks keep their
meaning (the "left eye" is the left one of the upright face), so that ``align`` returns an upright crop.

Detectors are reliable up to about 30 degrees of roll. They also detect most sideways faces, but with wrong landmarks;
:func:`is_upright` drops those faces.
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
"""Degrees clockwise, most likely first."""


class UprightFaces(NamedTuple):
    """The upright faces of an image, and those of them that are allowed to end the search for its rotation."""

    faces: list[Face]
    decisive: list[Face]


DetectUpright: TypeAlias = Callable[[Image], UprightFaces]
"""Returns the upright faces of a rotated image, in its pixels."""

_MAX_ROLL = 60.0
"""Degrees of roll from which a detector's landmarks are wrong."""
_MAX_GOOD_ROLL = 25.0
"""Degrees of roll up to which landmarks are accurate: slightly more than half the step between two rotations."""
_MIN_EYE_DISTANCE = 0.26
"""Eye distance relative to the square root of the box's area; below it the landmarks are those of a sideways face.

The largest faces of 5,206 upright images have at least 0.27 (median 0.37). Landmarks of sideways faces are too close
together.
"""
_EYE_DISTANCE = float(HEAD[1, 0] - HEAD[0, 0])
_EYES_TO_MOUTH = float(HEAD[3, 1] - HEAD[0, 1])
_UNROTATED_BONUS = 0.02
"""Margin by which the score of another rotation must exceed that of the unrotated image."""


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """A rotation of an image by ``degrees`` clockwise about its centre; the rotated image contains all of it.

    ``matrix``: 2 x 3, maps pixels of the image to pixels of the rotated image of ``width`` x ``height``.
    """

    degrees: float
    matrix: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def for_image(cls, image: Image, degrees: float) -> Self:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((0, 0), -degrees, 1).astype(np.float64).round(12)
        size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
        matrix[:, 2] = (size - 1) / 2 - matrix[:, :2] @ ((width - 1) / 2, (height - 1) / 2)
        return cls(degrees, matrix, int(size[0]), int(size[1]))

    def apply(self, image: Image) -> Image:
        """Return the rotated image, with black corners."""
        if not self.degrees:
            return image
        return cv2.warpAffine(image, self.matrix, (self.width, self.height)).astype(np.uint8, copy=False)

    def unrotate_points(self, points: NDArray[np.floating]) -> Landmarks:
        """Map N x 2 points of the rotated image to points of the image."""
        return invert_points(self.matrix, points)

    def unrotate_face(self, face: Face) -> Face:
        """Map a face of the rotated image to the image.

        The box is rotated by the nearest quarter turn, so that it keeps its centre and its size.
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
    """Whether the confidence of a decisive face rules out a sideways or upside-down face."""

    def unrotated(self) -> list[Face]:
        """Return the faces in pixels of the image."""
        return [self.rotation.unrotate_face(face) for face in self.faces]


def uprightness(face: Face) -> float:
    """Return the confidence of ``face`` times the cosine of its roll."""
    return face.confidence * float(np.cos(np.radians(roll(face))))


def detect_rotated(
    detect: DetectUpright,
    image: Image,
    upright_confidence: float,
    *,
    rings: Sequence[Sequence[float]] = (QUARTER_TURNS, DIAGONALS),
    score: Callable[[Face], float] = uprightness,
) -> RotatedFaces:
    """Return the best rotation of ``image`` and its faces.

    ``rings``: degrees, tried in this order. The search ends at the first rotation with a decisive, near-upright face of
    ``upright_confidence``, or after a ring without any face. If no rotation is certain, the one with the highest
    ``score`` of a face is the best.
    """
    candidates: list[RotatedFaces] = []
    for ring in rings:
        for degrees in ring:
            rotation = Rotation.for_image(image, degrees)
            faces, decisive = detect(rotation.apply(image))
            is_certain = any(face.confidence >= upright_confidence and is_near_upright(face) for face in decisive)
            candidates.append(RotatedFaces(rotation, faces, is_certain))
            if is_certain:
                return candidates[-1]
        if not any(candidate.faces for candidate in candidates):
            break
    return max(candidates, key=lambda candidate: _score(candidate, score))


def _score(candidate: RotatedFaces, score: Callable[[Face], float]) -> float:
    return max(map(score, candidate.faces), default=0.0) + (0.0 if candidate.rotation.degrees else _UNROTATED_BONUS)


def detect_upright(detector: Detector, image: Image, side: int | None = None) -> list[Face]:
    """Return the upright faces of ``image``; ``side`` as in :meth:`Detector.detect`."""
    return [face for face in detector.detect(image, side) if is_upright(face)]


def roll(face: Face) -> float:
    """Return the roll in degrees, clockwise, in (-180, 180]."""
    return float(np.degrees(np.angle(_scale_and_roll(face))))


def is_near_upright(face: Face) -> bool:
    """Return whether the roll is small enough for accurate landmarks."""
    return abs(roll(face)) <= _MAX_GOOD_ROLL


def is_upright(face: Face) -> bool:
    """Return whether roll and distances of the landmarks are those of an upright face, not of a sideways face."""
    scale_and_roll = _scale_and_roll(face)
    left, right, _, mouth_left, mouth_right = face.landmarks
    height = float(np.hypot(*(mouth_left + mouth_right - left - right))) / 2
    scale = max(abs(scale_and_roll), height / _EYES_TO_MOUTH)  # the eyes of a profile are close together
    has_small_roll = abs(float(np.degrees(np.angle(scale_and_roll)))) < _MAX_ROLL
    return has_small_roll and scale * _EYE_DISTANCE > _MIN_EYE_DISTANCE * face.box.area**0.5


def _scale_and_roll(face: Face) -> complex:
    """Return scale (modulus) and roll (angle) of the head model that fits the landmarks best."""
    matrix = similarity(HEAD[:, :2], face.landmarks)
    return complex(matrix[0, 0], matrix[1, 0])
