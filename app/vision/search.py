"""The face to compare, found coarse to fine; landmarks, found at one scale.

In: a picture. Out: one of its faces; the landmarks of a face, from a second look at it alone. A detector costs as much
as the pixels that it sees, and a portrait shows its face at a fifth of the usual side: only pictures with small,
doubtful or several faces need the whole search (``rotation.find_faces``), and all have the same face chosen
(``benchmarks/search.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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
UPRIGHT = (128, 320)
"""The same, where confidence has to tell which way up a face stands: in 96 pixels it is lower, however it stands."""
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
    if not rotate:
        return _look(detector, image, trust.clear, COARSE).face
    if max(image.shape[:2]) <= UPRIGHT[0]:
        return None
    seen = []
    for degrees in itertools.chain(*TURNS):
        turn = Turn.of(image, degrees)
        turned = turn.image(image)
        look = _look(detector, turned, trust.clear, UPRIGHT)
        if look.is_sure(trust):
            face = _look(detector, turned, trust.clear, COARSE).face  # the one of a picture that comes upright
            return turn.face_back(face) if face else None
        seen.append(look.confidence)
    upright, *others = seen
    if not upright or upright + FOR_UPRIGHT <= max(others):
        return None
    return _look(detector, image, trust.clear, COARSE).face


class _Look(NamedTuple):
    """What coarse looks at a picture show."""

    face: Face | None
    """The largest upright face, if that is enough to tell."""
    confidence: float
    """In the upright face they are most confident in; 0 without one."""

    def is_sure(self, trust: Trust) -> bool:
        return self.face is not None and self.face.confidence >= trust.sure


def _look(detector: Detector, image: Image, clear: float, sides: Sequence[int]) -> _Look:
    """Look for the largest upright face of ``image`` in ``sides`` pixels.

    It must be large, clear, leaning little, and without a rival: another that could be preferred, clear or not.
    """
    longest, confidence = max(image.shape[:2]), 0.0
    for side in sides:
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
