"""Coarse-to-fine detection of the target face, and refinement of its landmarks.

A detector's cost grows with the pixels it gets, and a portrait shows its face at a fifth of the usual size. Coarse
detection therefore decides most images; only those with small, doubtful or several faces need full detection. Both
choose the same face (``benchmarks/search.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from app.domain import Box, Face, Image, MatchingStrategy
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.align import invert_points, similarity, warp_crop
from app.vision.detect.base import Detector
from app.vision.rotation import (
    DIAGONALS,
    QUARTER_TURNS,
    UprightFaces,
    detect_rotated,
    detect_upright,
    is_near_upright,
    roll,
)
from app.vision.selection import MIN_AREA_RATIO, match_by_iou, select, visible_area

COARSE_SIDES = (96, 160, 320)
"""Longer side of the image that the detector gets, in pixels, coarse to fine."""
ROTATION_SIDES = (128, 320)
"""The same while the rotation is searched: at 96 pixels confidence is too low to tell which way up a face is."""
COARSE_MIN_SIDE = COARSE_SIDES[-1] + 1
"""Longer side of a decoded image, in pixels, that is enough for coarse detection."""
_MIN_FACE = 32.0
"""Square root of a face's area, in detector pixels, from which no larger face is missed at this scale."""


class ConfidenceThresholds(NamedTuple):
    """Confidence from which a face is preferred in the selection, and from which it is certainly upright."""

    selection: float
    upright: float

    @classmethod
    def of(cls, spec: DetectorSpec) -> Self:
        return cls(spec.selection_confidence, spec.upright_confidence)


def detect_coarse(detector: Detector, image: Image, thresholds: ConfidenceThresholds, *, rotate: bool) -> Face | None:
    """Return the largest face of ``image``, or None if coarse detection does not decide which one it is."""
    if not rotate:
        return _detect_at_scales(detector, image, thresholds, COARSE_SIDES).target
    if max(image.shape[:2]) <= ROTATION_SIDES[0]:
        return None
    rotated = detect_rotated(
        lambda rotated_image: _detect_at_scales(detector, rotated_image, thresholds, ROTATION_SIDES).upright_faces(),
        image,
        thresholds.upright,
        rings=((*QUARTER_TURNS, *DIAGONALS),),
        score=lambda face: face.confidence,  # stricter: an upright face in any doubt is left to full detection
    )
    if not rotated.faces or not (rotated.is_certain or rotated.rotation.degrees == 0):
        return None
    # The scales of an image that needs no rotation: its landmarks, and so its score, are those without the option.
    target = _detect_at_scales(detector, rotated.rotation.apply(image), thresholds, COARSE_SIDES).target
    return rotated.rotation.unrotate_face(target) if target else None


def detect_full(detector: Detector, image: Image, thresholds: ConfidenceThresholds, *, rotate: bool) -> list[Face]:
    """Return all upright faces of ``image``, most confident first; with ``rotate``, those of its best rotation."""
    if not rotate:
        return detect_upright(detector, image)

    def detect(rotated_image: Image) -> UprightFaces:
        faces = detect_upright(detector, rotated_image)
        return UprightFaces(faces, decisive=faces)

    return detect_rotated(detect, image, thresholds.upright).unrotated()


class _ScaleResult(NamedTuple):
    """What detection at increasing scales found: the target face if it is decided, and the most confident faces."""

    target: Face | None
    faces: list[Face]

    def upright_faces(self) -> UprightFaces:
        return UprightFaces(self.faces, decisive=[self.target] if self.target else [])


def _detect_at_scales(
    detector: Detector, image: Image, thresholds: ConfidenceThresholds, sides: Sequence[int]
) -> _ScaleResult:
    """Detect the largest upright face of ``image`` at one scale after the other, until it is decided.

    A target face is large enough for its scale, of ``thresholds.selection``, near upright, and without a rival: another
    face of comparable size.
    """
    longest, most_confident = max(image.shape[:2]), list[Face]()
    for side in sides:
        faces = detect_upright(detector, image, side) if side < longest else []
        if not faces:
            continue
        most_confident = max(most_confident, faces, key=_highest_confidence)
        face = select(faces, image, MatchingStrategy.LARGEST, thresholds.selection)
        area = visible_area(face, image)
        if any(visible_area(other, image) >= MIN_AREA_RATIO * area for other in faces if other is not face):
            break
        is_large = area**0.5 * side >= _MIN_FACE * longest
        if is_large and face.confidence >= thresholds.selection and is_near_upright(face):
            return _ScaleResult(face, most_confident)
    return _ScaleResult(None, most_confident)


def _highest_confidence(faces: Sequence[Face]) -> float:
    return max((face.confidence for face in faces), default=0.0)


def refine_landmarks(detector: Detector, image: Image, face: Face, landmark_crop: LandmarkCrop) -> Face:
    """Return ``face`` with the landmarks of a detection on an upright crop of it alone.

    The face has one size in every crop, so landmarks and scores depend neither on the size of the image nor on how
    the face was found. A face that the crop does not show is returned unchanged.
    """
    size = face.box.area**0.5
    if not size:
        return face
    side, half = landmark_crop.side, landmark_crop.face / 2
    box = face.box
    centre = np.array([box.left + box.right, box.top + box.bottom]) / 2
    angle = np.radians(roll(face))
    edge = centre + np.array([np.cos(angle), np.sin(angle)]) * size / 2
    middle = side / 2
    matrix = similarity(np.stack([centre, edge]), np.array([[middle, middle], [middle + half, middle]]))
    found = detect_upright(detector, warp_crop(image, matrix, side), side)
    refined = match_by_iou(found, Box(middle - half, middle - half, middle + half, middle + half))
    if refined is None:
        return face
    return Face(face.box, invert_points(matrix, refined.landmarks), face.confidence)
