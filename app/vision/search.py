"""Coarse-to-fine detection of the target face, and refinement of its landmarks.

A detector's cost grows with the size of its input, and a portrait needs only a fifth of the usual size. Coarse
detection selects the largest face of most images. Images with small, uncertain or several faces need full detection.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Crop, Face, Image, MatchingStrategy
from app.packs.manifest import DetectorSpec, LandmarkCrop
from app.vision.align import apply_inverse, warp_crop
from app.vision.detect.base import Detector
from app.vision.fallback import detect_large
from app.vision.rotation import (
    CLEAR_UPRIGHT_MARGIN,
    DIAGONALS,
    MIN_UPRIGHT_MARGIN,
    QUARTER_TURNS,
    detect_rotated,
    detect_upright,
    has_accurate_landmarks,
    landmark_box,
    roll,
    upright_margin,
)
from app.vision.selection import MIN_AREA_RATIO, RotatedFaceError, match_by_iou, select_target, visible_area

COARSE_SIDES = (96, 160, 320)
"""Longer sides of the detector's input in pixels, coarse to fine."""
ROTATION_SIDES = (128, 320)
"""The same for the rotation search: at 96 pixels, confidence does not separate upright from rotated faces."""
COARSE_MIN_SIDE = COARSE_SIDES[-1] + 1
"""Minimum longer side, in pixels, to which an image is reduced for coarse detection.

One pixel more than the largest input side, because only input sides smaller than the image are used.
"""
_MIN_FACE = 32.0
"""Smallest face at which coarse detection is reliable: square root of its area, in pixels of the detector's input."""


def detect_coarse(detector: Detector, image: Image, spec: DetectorSpec, *, rotate: bool) -> Face | None:
    """Return the target face by size (``LARGEST``), or None if only full detection can select it."""
    if not rotate:
        return _detect_at_sizes(detector, image, spec, COARSE_SIDES)[0]
    if max(image.shape[:2]) <= ROTATION_SIDES[0]:
        return None

    def detect(rotated_image: Image) -> tuple[list[Face], bool]:
        target, faces = _detect_at_sizes(detector, rotated_image, spec, ROTATION_SIDES)
        return faces, target is not None and target.confidence >= spec.upright_confidence

    # If the best rotation is not 0 and its target face lacks the upright confidence, full detection decides.
    rotation, faces, is_proven = detect_rotated(
        detect, image, rotation_groups=((*QUARTER_TURNS, *DIAGONALS),), score=lambda face: face.confidence
    )
    if not faces or (rotation.degrees and not is_proven):
        return None
    # The same input sides as without ``rotate``, so that an upright image gets the same landmarks and score.
    target, _ = _detect_at_sizes(detector, rotation.apply(image), spec, COARSE_SIDES)
    return rotation.unrotate_face(target) if target else None


def detect_full(detector: Detector, image: Image, spec: DetectorSpec, *, rotate: bool) -> list[Face]:
    """Return all upright faces of ``image``, most confident first; with ``rotate``, those of its best rotation.

    If there is none, return large upright faces of smaller input sizes.
    """
    if not rotate:
        return detect_upright(detector, image) or detect_large(detector, image)

    def detect(rotated_image: Image) -> tuple[list[Face], bool]:
        faces = detect_upright(detector, rotated_image)
        return faces, any(face.confidence >= spec.upright_confidence and has_accurate_landmarks(face) for face in faces)

    rotation, faces, _ = detect_rotated(detect, image)
    return [rotation.unrotate_face(face) for face in faces] or detect_large(detector, image)


def _detect_at_sizes(
    detector: Detector, image: Image, spec: DetectorSpec, sides: Sequence[int]
) -> tuple[Face | None, list[Face]]:
    """Detect faces of ``image`` at one input size after the other, until the target face is unambiguous.

    It is unambiguous if it is large enough for the input size, has the selection confidence, and its landmarks are
    accurate. No other face may have a comparable size; such a second face ends the detection. Return the target face if
    it is unambiguous, else None; and the faces detected at the input size with the highest confidence.
    """
    longer_side = max(image.shape[:2])
    best_faces: list[Face] = []
    for side in sides:
        faces = detect_upright(detector, image, side) if side < longer_side else []
        if not faces:
            continue
        best_faces = max(best_faces or faces, faces, key=lambda detected: detected[0].confidence)
        target = select_target(faces, image, MatchingStrategy.LARGEST, spec.selection_confidence)
        area = visible_area(target, image)
        if any(visible_area(other, image) >= MIN_AREA_RATIO * area for other in faces if other is not target):
            break
        is_large = area**0.5 * side >= _MIN_FACE * longer_side
        if is_large and target.confidence >= spec.selection_confidence and has_accurate_landmarks(target):
            return target, best_faces
    return None, best_faces


def select(
    detector: Detector, image: Image, faces: Sequence[Face], strategy: MatchingStrategy, spec: DetectorSpec
) -> Face:
    """Return the target face of the faces of full detection; raise ``NoFaceError`` if there is none.

    Faces of comparable size are measured again on crops of fixed size, so that mirroring, resizing or compressing the
    image seldom changes the choice.
    """

    def measure(face: Face, image: Image) -> float:
        return _area_on_crop(detector, image, face, spec.landmark_crop)

    return select_target(faces, image, strategy, spec.selection_confidence, measure)


def _area_on_crop(detector: Detector, image: Image, face: Face, landmark_crop: LandmarkCrop) -> float:
    """Return the visible area of ``face`` in square pixels, by the boxes on its crop and on the mirrored crop.

    The geometric mean of both; the area of the face's box if it is detected on neither.
    """
    visible = visible_area(face, image)
    if not visible:
        return 0.0
    crop, matrix = _crop(image, face, landmark_crop, roll(face))
    matches = [_match(detector, view, landmark_crop) for view in (crop, np.ascontiguousarray(crop[:, ::-1]))]
    areas = [match.box.area for match in matches if match]
    if not areas:
        return visible
    enlargement = math.hypot(matrix[0, 0], matrix[1, 0])
    return math.prod(areas) ** (1 / len(areas)) / enlargement**2 * visible / face.box.area


def refine_landmarks(detector: Detector, image: Image, face: Face, landmark_crop: LandmarkCrop) -> Face:
    """Return ``face`` with landmarks detected on an upright crop of it; unchanged if no detected face matches.

    The face has the same size in every crop. Landmarks and scores therefore depend neither on the size of the image nor
    on the detection that found the face.
    """
    refined = _detect_on_crop(detector, image, face, landmark_crop, roll(face))
    return _with_landmarks(detector, image, face, refined, landmark_crop)


def refine_upright_landmarks(detector: Detector, image: Image, face: Face, spec: DetectorSpec) -> Face:
    """Return the result of :func:`refine_landmarks`; raise ``RotatedFaceError`` if ``face`` does not stand upright."""
    refined = _detect_upright_on_crop(detector, image, face, spec)
    return _with_landmarks(detector, image, face, refined, spec.landmark_crop)


def is_upright(detector: Detector, image: Image, face: Face, spec: DetectorSpec) -> bool:
    """Return whether a face of full detection stands upright. A confident face with accurate landmarks does."""
    if face.confidence >= spec.upright_confidence and has_accurate_landmarks(face):
        return True
    try:
        _detect_upright_on_crop(detector, image, face, spec)
    except RotatedFaceError:
        return False
    return True


def _detect_upright_on_crop(detector: Detector, image: Image, face: Face, spec: DetectorSpec) -> Face | None:
    """Return the detection on the crop, or None; raise ``RotatedFaceError`` if ``face`` does not stand upright.

    Detectors also find rotated faces, with wrong landmarks that look upright. A confident detection on the crop, with
    accurate landmarks, proves that the face stands upright. Otherwise the crop is detected in other rotations, and the
    most confident one decides.
    """
    degrees = roll(face)
    refined = _detect_on_crop(detector, image, face, spec.landmark_crop, degrees)
    if refined and refined.confidence >= spec.upright_confidence and has_accurate_landmarks(refined, degrees):
        return refined
    detections = [face, refined] if refined else [face]
    for rotations in (QUARTER_TURNS[1:], DIAGONALS):
        for rotation in rotations:
            rotated = _detect_on_crop(detector, image, face, spec.landmark_crop, degrees - rotation)
            detections += [rotated] if rotated else []
        if upright_margin(detections) >= CLEAR_UPRIGHT_MARGIN:
            break
    if upright_margin(detections) < MIN_UPRIGHT_MARGIN:
        raise RotatedFaceError
    return refined


def _with_landmarks(
    detector: Detector, image: Image, face: Face, refined: Face | None, landmark_crop: LandmarkCrop
) -> Face:
    """Return ``face`` with the landmarks of ``refined``, detected once more if the pack asks for two detections."""
    if refined is None:
        return face
    if landmark_crop.detections > 1:
        centred = replace(refined, box=landmark_box(refined))
        refined = _detect_on_crop(detector, image, centred, landmark_crop, roll(refined)) or refined
    return replace(face, landmarks=refined.landmarks)


def _detect_on_crop(
    detector: Detector, image: Image, face: Face, landmark_crop: LandmarkCrop, degrees: float
) -> Face | None:
    """Detect ``face`` again, on a crop in which a face with a roll of ``degrees`` stands upright.

    Return its box in ``image``, and the landmarks and the confidence of the second detection. Return None if no face
    is detected there, or no detected face matches it.
    """
    if not face.box.area:
        return None
    crop, matrix = _crop(image, face, landmark_crop, degrees)
    match = _match(detector, crop, landmark_crop)
    return Face(face.box, apply_inverse(matrix, match.landmarks), match.confidence) if match else None


def _crop(image: Image, face: Face, landmark_crop: LandmarkCrop, degrees: float) -> tuple[Crop, NDArray[np.float64]]:
    """Return the crop in which ``face``, rotated back by ``degrees``, has the size of the pack, and its transform."""
    box, middle = face.box, landmark_crop.side / 2
    # Points as complex numbers: p of the image is p * factor + shift in the crop.
    factor = cmath.rect(landmark_crop.face / box.area**0.5, -math.radians(degrees))
    shift = middle * (1 + 1j) - factor * complex(box.left + box.right, box.top + box.bottom) / 2
    matrix = np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
    return warp_crop(image, matrix, landmark_crop.side), matrix


def _match(detector: Detector, crop: Crop, landmark_crop: LandmarkCrop) -> Face | None:
    """Return the face that matches the centre of ``crop``, in its pixels, or None."""
    start, end = (landmark_crop.side - landmark_crop.face) / 2, (landmark_crop.side + landmark_crop.face) / 2
    return match_by_iou(detect_upright(detector, crop, landmark_crop.side), Box(start, start, end, end))
