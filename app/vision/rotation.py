"""Find the rotation at which the faces of an image are upright (``NeedRotateDetection``).

Only the detector's input is rotated: boxes and landmarks are returned in pixels of the image. Landmarks keep their
meaning (the "left eye" is the left one of the upright face), so that ``align`` returns an upright crop.

Detectors are reliable up to about 30 degrees of roll. They also detect most sideways faces, but with wrong landmarks;
:func:`has_upright_landmarks` rejects those.
"""

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image
from app.vision.align import apply_inverse
from app.vision.detect.base import Detector
from app.vision.pose import HEAD

MIN_UPRIGHT_MARGIN, CLEAR_UPRIGHT_MARGIN = -0.03, 0.1
"""Minimum ``upright_margin`` of an upright face after all rotations were tried; margin after the quarter turns at which
the diagonals are skipped.

The lowest margin of an upright face in 5,178 images (LFW) is -0.02.
"""
QUARTER_TURNS = (0.0, -90.0, 90.0, 180.0)
DIAGONALS = (-45.0, 45.0, -135.0, 135.0)
"""Degrees clockwise, most likely first."""

_MAX_INPUT_ROLL = 60.0  # degrees of roll in the detector's input from which its landmarks are wrong
_MAX_GOOD_ROLL = 25.0
"""Degrees of roll up to which landmarks are accurate: slightly more than half the step between two rotations."""
_MIN_EYE_DISTANCE_RATIO = 0.26
"""Eye distance (of the fitted head model) divided by the square root of the box's area. Landmarks of sideways faces
are closer together.

The largest faces of 5,206 upright images have at least 0.27 (median 0.37).
"""
FACE_PER_EYE_DISTANCE = 2.5
"""Square root of the bounding box's area divided by the eye distance, for frontal faces (Face Research Lab London)."""
_EYE_DISTANCE = float(HEAD[1, 0] - HEAD[0, 0])
_EYES_TO_MOUTH = float(HEAD[3, 1] - HEAD[0, 1])
_HEAD_POINTS = (HEAD - HEAD.mean(axis=0)) @ (1, 1j, 0)  # x and y as complex numbers, centred
_HEAD_NORM = float(np.vdot(_HEAD_POINTS, _HEAD_POINTS).real)
_MAX_UPRIGHT_ROLL = 72.0
"""Degrees of roll in the image above which a detection counts as rotated.

A face whose true roll is 40 degrees can have detections whose landmarks give up to 70 degrees.
"""
_UNROTATED_BONUS = 0.02  # margin by which the score of another rotation must exceed that of the unrotated image


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """A rotation of an image by ``degrees`` clockwise about its centre; the rotated image contains all of it.

    ``matrix``: 2 x 3, maps pixels of the image to pixels of the rotated image, whose width and height are ``size``.
    """

    degrees: float
    matrix: NDArray[np.float64]
    size: tuple[int, int]

    @classmethod
    def for_image(cls, image: Image, degrees: float) -> Self:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((0, 0), -degrees, 1).astype(np.float64).round(12)
        size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
        matrix[:, 2] = (size - 1) / 2 - matrix[:, :2] @ ((width - 1) / 2, (height - 1) / 2)
        return cls(degrees, matrix, (int(size[0]), int(size[1])))

    def apply(self, image: Image) -> Image:
        """Return the rotated image, with black corners."""
        return cv2.warpAffine(image, self.matrix, self.size).astype(np.uint8, copy=False) if self.degrees else image

    def unrotate_face(self, face: Face) -> Face:
        """Map a face of the rotated image to the image.

        The box is rotated by the nearest quarter turn, so that it keeps its centre and its size.
        """
        if not self.degrees:
            return face
        box = face.box
        middle = np.array([[box.left + box.right, box.top + box.bottom]]) / 2
        centre = apply_inverse(self.matrix, middle)[0].astype(np.float64)
        half_size = np.array([box.right - box.left, box.bottom - box.top]) / 2
        if abs(self.matrix[0, 1]) > abs(self.matrix[0, 0]):
            half_size = half_size[::-1]
        unrotated = Box(*(centre - half_size).tolist(), *(centre + half_size).tolist())
        return Face(unrotated, apply_inverse(self.matrix, face.landmarks), face.confidence)


def uprightness(face: Face) -> float:
    """Return the confidence of ``face`` times the cosine of its roll."""
    return face.confidence * math.cos(math.radians(roll(face)))


def detect_rotated(
    detect: Callable[[Image], tuple[list[Face], bool]],
    image: Image,
    *,
    rotation_groups: Sequence[Sequence[float]] = (QUARTER_TURNS, DIAGONALS),
    score: Callable[[Face], float] = uprightness,
) -> tuple[Rotation, list[Face], bool]:
    """Return the best rotation of ``image``, the faces in pixels of the rotated image, and whether it is proven.

    ``detect``: returns the upright faces of a rotated image, and whether a confident face proves its rotation.
    ``rotation_groups``: degrees, tried in this order. The search ends at the first proven rotation, or after a group
    if no face has been found. If no rotation is proven, the rotation with the highest ``score`` of a face is the
    best.
    """
    candidates: list[tuple[Rotation, list[Face]]] = []
    for group in rotation_groups:
        for degrees in group:
            rotation = Rotation.for_image(image, degrees)
            faces, is_proven = detect(rotation.apply(image))
            if is_proven:
                return rotation, faces, True
            candidates.append((rotation, faces))
        if not any(faces for _, faces in candidates):
            break

    def best_score(candidate: tuple[Rotation, list[Face]]) -> float:
        rotation, faces = candidate
        return max(map(score, faces), default=0.0) + (0.0 if rotation.degrees else _UNROTATED_BONUS)

    return *max(candidates, key=best_score), False


def detect_upright(detector: Detector, image: Image, side: int | None = None) -> list[Face]:
    """Return the upright faces of ``image``; ``side`` as in :meth:`Detector.detect`."""
    return [face for face in detector.detect(image, side) if has_upright_landmarks(face)]


def roll(face: Face) -> float:
    """Return the roll in degrees, clockwise, in (-180, 180]."""
    return math.degrees(cmath.phase(_scale_and_roll(_points(face))))


def has_accurate_landmarks(face: Face, input_roll: float = 0.0) -> bool:
    """Return whether the roll in the detector's input is at most 25 degrees, so that the landmarks are accurate.

    ``input_roll``: degrees, clockwise, by which the detector's input was rotated against the image that holds ``face``.
    A face with this roll in the image is upright in the input.
    """
    return abs((roll(face) - input_roll + 180) % 360 - 180) <= _MAX_GOOD_ROLL


def upright_margin(detections: Sequence[Face]) -> float:
    """Return by how much the best upright detection of one face is more confident than the best rotated one.

    The landmarks of all are in pixels of the same image; a roll of at most 72 degrees is upright.
    """
    upright = [face.confidence for face in detections if abs(roll(face)) <= _MAX_UPRIGHT_ROLL]
    rotated = [face.confidence for face in detections if abs(roll(face)) > _MAX_UPRIGHT_ROLL]
    return max(upright, default=0.0) - max(rotated, default=0.0)


def has_upright_landmarks(face: Face) -> bool:
    """Return whether the landmarks are plausible for an upright face: roll under 60 degrees, eyes not too close.

    ``face``: in pixels of the detector's input. Faces with more roll have wrong landmarks, whose computed roll may be
    small.
    """
    points = _points(face)
    scale_and_roll = _scale_and_roll(points)
    left_eye, right_eye, _, mouth_left, mouth_right = points.tolist()
    height = abs(mouth_left + mouth_right - left_eye - right_eye) / 2
    scale = max(abs(scale_and_roll), height / _EYES_TO_MOUTH)  # the eyes of a profile are close together
    has_small_roll = abs(math.degrees(cmath.phase(scale_and_roll))) < _MAX_INPUT_ROLL
    return has_small_roll and scale * _EYE_DISTANCE > _MIN_EYE_DISTANCE_RATIO * face.box.area**0.5


def landmark_box(face: Face) -> Box:
    """Return the square around the landmarks, of the size of a detector's box for a frontal face."""
    x, y = face.landmarks.mean(axis=0).tolist()
    half = FACE_PER_EYE_DISTANCE * _EYE_DISTANCE * abs(_scale_and_roll(_points(face))) / 2
    return Box(x - half, y - half, x + half, y + half)


def _points(face: Face) -> NDArray[np.complex128]:
    """Return the landmarks as complex numbers, x + iy."""
    return face.landmarks.astype(np.float64, order="C").view(np.complex128).ravel()


def _scale_and_roll(points: NDArray[np.complex128]) -> complex:
    """Return scale (modulus) and roll (angle) of the head model that fits the landmarks ``points`` best."""
    return complex(np.vdot(_HEAD_POINTS, points)) / _HEAD_NORM
