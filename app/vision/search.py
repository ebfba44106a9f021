"""Coarse-to-fine detection of the target face, and refinement of its landmarks.

A detector's cost grows with the size of its input, and a portrait needs only a fifth of the usual size. Coarse
detection selects the target face of most images. Images with small, uncertain or several faces need full detection.
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
"""Longer sides of the detector's input in pixels, coarse to fine."""
ROTATION_SIDES = (128, 320)
"""The same for the search of the rotation: at 96 pixels, confidence does not separate upright from rotated faces."""
COARSE_MIN_SIDE = COARSE_SIDES[-1] + 1
"""Longer side of a decoded image in pixels that coarse detection needs."""
_MIN_FACE = 32.0
"""Square root of a face's area in detector pixels; if a face is this large, no larger face of the image was missed."""


class ConfidenceThresholds(NamedTuple):
    """Confidence at which a face is preferred in the selection, and at which it is certainly upright."""

    selection: float
    upright: float

    @classmethod
    def from_spec(cls, spec: DetectorSpec) -> Self:
        return cls(spec.selection_confidence, spec.upright_confidence)


def detect_coarse(detector: Detector, image: Image, thresholds: ConfidenceThresholds, *, rotate: bool) -> Face | None:
    """Return the largest face of ``image``, or None if only full detection can select it."""
    if not rotate:
        return _detect_at_scales(detector, image, thresholds, COARSE_SIDES).target
    if max(image.shape[:2]) <= ROTATION_SIDES[0]:
        return None
    rotated = detect_rotated(
        lambda rotated_image: _detect_at_scales(detector, rotated_image, thresholds, ROTATION_SIDES).upright_faces(),
        image,
        thresholds.upright,
        rings=((*QUARTER_TURNS, *DIAGONALS),),
        score=lambda face: face.confidence,  # stricter than uprightness: leaves uncertain images to full detection
    )
    if not rotated.faces or not (rotated.is_certain or rotated.rotation.degrees == 0):
        return None
    # The same scales as without ``rotate``, so that an upright image gets the same landmarks and score.
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
    """The result of detection at increasing scales: the target face if it is certain, and the most confident faces."""

    target: Face | None
    faces: list[Face]

    def upright_faces(self) -> UprightFaces:
        return UprightFaces(self.faces, decisive=[self.target] if self.target else [])


def _detect_at_scales(
    detector: Detector, image: Image, thresholds: ConfidenceThresholds, sides: Sequence[int]
) -> _ScaleResult:
    """Detect faces of ``image`` at one scale after the other, until the largest face is certain.

    It is certain if it is large enough for the scale, has ``thresholds.selection``, is near upright, and no other face
    has a comparable size. A second face of comparable size ends the detection without a target face.
    """
    longer_side, most_confident = max(image.shape[:2]), list[Face]()
    for side in sides:
        faces = detect_upright(detector, image, side) if side < longer_side else []
        if not faces:
            continue
        most_confident = max(most_confident, faces, key=_highest_confidence)
        face = select(faces, image, MatchingStrategy.LARGEST, thresholds.selection)
        area = visible_area(face, image)
        if any(visible_area(other, image) >= MIN_AREA_RATIO * area for other in faces if other is not face):
            break
        is_large = area**0.5 * side >= _MIN_FACE * longer_side
        if is_large and face.confidence >= thresholds.selection and is_near_upright(face):
            return _ScaleResult(face, most_confident)
    return _ScaleResult(None, most_confident)


def _highest_confidence(faces: Sequence[Face]) -> float:
    return max((face.confidence for face in faces), default=0.0)


def refine_landmarks(detector: Detector, image: Image, face: Face, landmark_crop: LandmarkCrop) -> Face:
    """Return ``face`` with landmarks detected on an upright crop of it; unchanged if no face is detected there.

    The face has the same size in every crop, so landmarks and scores do not depend on the size of the image or on the
    detection that found the face.
    """
    size = face.box.area**0.5
    if not size:
        return face
    side, half_face = landmark_crop.side, landmark_crop.face / 2
    box = face.box
    centre = np.array([box.left + box.right, box.top + box.bottom]) / 2
    angle = np.radians(roll(face))
    edge = centre + np.array([np.cos(angle), np.sin(angle)]) * size / 2
    middle = side / 2
    matrix = similarity(np.stack([centre, edge]), np.array([[middle, middle], [middle + half_face, middle]]))
    faces = detect_upright(detector, warp_crop(image, matrix, side), side)
    start, end = middle - half_face, middle + half_face
    refined = match_by_iou(faces, Box(start, start, end, end))
    if refined is None:
        return face
    return Face(face.box, invert_points(matrix, refined.landmarks), face.confidence)
