"""The face to compare, found coarse to fine; landmarks, found at one scale.

In: a picture. Out: one of its faces; the landmarks of a face, from a second look at it alone. A detector costs as much
as the pixels that it sees, and a portrait shows its face at a fifth of the usual side: only pictures with small,
doubtful or several faces need the whole search (``rotation.find_faces``), and all have the same face chosen
(``benchmarks/search.py``).
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from app.domain import Box, Face, Image, MatchingStrategy
from app.packs.manifest import CloseUp, DetectorSpec
from app.vision.align import cut
from app.vision.detect.base import Detector
from app.vision.rotation import FOR_UPRIGHT, TURNS, Turn, find_faces, is_upright, leans_little, roll
from app.vision.selection import COMPARABLE, found_again, select

COARSE = (96, 160, 320)
"""Detector pixels a side, coarse to fine."""
GLANCED = COARSE[-1] + 1
"""Pixels of the longer side from which on a picture of fewer pixels is as good for a glance as the whole one."""
_LARGE = 32.0
"""Detector pixels, square root of the box's area, from which nothing larger is missed at this scale."""


class Trust(NamedTuple):
    """Confidence in a face of a detector, from which it is one (``clear``), and stands upright (``sure``)."""

    clear: float
    sure: float

    @classmethod
    def of(cls, spec: DetectorSpec) -> Self:
        return cls(spec.clear, spec.sure)


def find_face(detector: Detector, image: Image, strategy: MatchingStrategy, trust: Trust, *, rotate: bool) -> Face:
    """Return the face of ``image`` to compare, the one that ``select`` takes of all; no face: ``NoFaceInPhoto``."""
    face = glance(detector, image, strategy, trust, rotate=rotate)
    return face or select(find_faces(detector, image, rotate=rotate, sure=trust.sure), image, strategy, trust.clear)


def glance(detector: Detector, image: Image, strategy: MatchingStrategy, trust: Trust, *, rotate: bool) -> Face | None:
    """Return the face of ``image`` to compare, if coarse looks are enough to tell."""
    if strategy is not MatchingStrategy.LARGEST:
        return None
    upright = _look(detector, image, trust.clear)
    if not rotate or upright.is_sure(trust):
        return upright.face
    seen = 0.0
    for degrees in (*TURNS[0][1:], *TURNS[1]):
        turn = Turn.of(image, degrees)
        look = _look(detector, turn.image(image), trust.clear)
        if look.face is not None and look.is_sure(trust):
            return turn.face_back(look.face)
        seen = max(seen, look.confidence)
    return upright.face if upright.confidence + FOR_UPRIGHT > seen else None


class _Look(NamedTuple):
    """What coarse looks at a picture show."""

    face: Face | None
    """The largest upright face, if that is enough to tell."""
    confidence: float
    """In the upright face they are most confident in; 0 without one."""

    def is_sure(self, trust: Trust) -> bool:
        return self.face is not None and self.face.confidence >= trust.sure


def _look(detector: Detector, image: Image, clear: float) -> _Look:
    """Look for the largest upright face of ``image``.

    It must be large, clear, leaning little, and without a rival: another that could be preferred, clear or not.
    """
    longest, confidence = max(image.shape[:2]), 0.0
    for side in COARSE:
        faces = [face for face in detector.detect(image, side) if is_upright(face)] if side < longest else []
        if not faces:
            continue
        confidence = max(confidence, *(face.confidence for face in faces))
        face = select(faces, image, MatchingStrategy.LARGEST, clear)
        if any(_area(other, image) >= COMPARABLE * _area(face, image) for other in faces if other is not face):
            break
        is_large = _area(face, image) ** 0.5 * side >= _LARGE * longest
        if is_large and face.confidence >= clear and leans_little(face):
            return _Look(face, confidence)
    return _Look(None, confidence)


def _area(face: Face, image: Image) -> float:
    return face.box.within(image.shape[1], image.shape[0]).area


def refine(detector: Detector, image: Image, face: Face, close_up: CloseUp) -> Face:
    """Return ``face`` with the landmarks that a look at it alone shows, upright and always of the same size.

    So landmarks, and with them scores, depend neither on how large the picture is nor on how the face was found.
    Where this look does not show it, it stays as it is.
    """
    size = face.box.area**0.5
    if not size:
        return face
    towards = close_up.face / size * np.exp(-1j * np.radians(roll(face)))
    centre = complex(face.box.left + face.box.right, face.box.top + face.box.bottom) / 2
    shift = close_up.side / 2 * (1 + 1j) - towards * centre
    matrix = np.array([[towards.real, -towards.imag, shift.real], [towards.imag, towards.real, shift.imag]])
    near, far = (close_up.side - close_up.face) / 2, (close_up.side + close_up.face) / 2
    expected = Box(near, near, far, far)
    found = [one for one in detector.detect(cut(image, matrix, close_up.side), close_up.side) if is_upright(one)]
    same = found_again(found, expected)
    if same is None:
        return face
    spots = (same.landmarks[:, 0] + 1j * same.landmarks[:, 1] - shift) / towards
    return Face(face.box, np.stack([spots.real, spots.imag], axis=1).astype(np.float32), face.confidence)
