"""The face to compare, found coarse to fine; landmarks, found at one scale.

In: a picture. Out: one of its faces; the landmarks of a face, from a second look at it alone. A detector costs as much
as the pixels that it sees, and a portrait shows its face at a fifth of the usual side: only pictures with small,
doubtful or several faces need the whole search (``rotation.find_faces``), and all have the same face chosen
(``benchmarks/search.py``).
"""

from __future__ import annotations

import numpy as np

from app.domain import Box, Face, Image, MatchingStrategy
from app.packs.manifest import CloseUp
from app.vision.align import cut
from app.vision.detect.base import Detector
from app.vision.rotation import QUARTERS, Turn, beyond_doubt, find_faces, is_upright, leans_little, roll
from app.vision.selection import COMPARABLE, select

COARSE = (128, 320)
"""Detector pixels a side, coarse to fine."""
GLANCED = COARSE[-1] + 1
"""Pixels of the longer side from which on a picture of fewer pixels is as good for a glance as the whole one."""
_LARGE = 32.0
"""Detector pixels, square root of the box's area, from which nothing larger is missed at this scale."""

_SAME = 0.3
"""Overlap (intersection over union) from which what the second look finds is the face that it looks for."""


def find_face(detector: Detector, image: Image, strategy: MatchingStrategy, *, rotate: bool, clear: float) -> Face:
    """Return the face of ``image`` to compare, the one that ``select`` takes of all; no face: ``NoFaceInPhoto``.

    ``clear``: the confidence from which a face of this detector is beyond doubt.
    """
    face = glance(detector, image, strategy, rotate=rotate, clear=clear)
    return face or select(find_faces(detector, image, rotate=rotate, clear=clear), image, strategy, clear)


def glance(detector: Detector, image: Image, strategy: MatchingStrategy, *, rotate: bool, clear: float) -> Face | None:
    """Return the face of ``image`` to compare, if coarse looks are enough to tell."""
    if strategy is MatchingStrategy.LARGEST:
        for degrees in QUARTERS if rotate else QUARTERS[:1]:
            turn = Turn.of(image, degrees)
            face = _largest(detector, turn.image(image), beyond_doubt(clear) if degrees else clear)
            if face is not None:
                return turn.face_back(face)
    return None


def _largest(detector: Detector, image: Image, clear: float) -> Face | None:
    """Return the largest upright face of ``image``, if coarse looks are enough to tell.

    It must be large, clear, leaning little, and without a rival: another that could be preferred, clear or not.
    """
    longest = max(image.shape[:2])
    for side in COARSE:
        faces = [face for face in detector.detect(image, side) if is_upright(face)] if side < longest else []
        if not faces:
            continue
        face = select(faces, image, MatchingStrategy.LARGEST, clear)
        if any(_area(other, image) >= COMPARABLE * _area(face, image) for other in faces if other is not face):
            return None
        is_large = _area(face, image) ** 0.5 * side >= _LARGE * longest
        if is_large and face.confidence >= clear and leans_little(face):
            return face
    return None


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
    same = max(found, key=lambda one: one.box.overlap(expected), default=None)
    if same is None or same.box.overlap(expected) < _SAME:
        return face
    spots = (same.landmarks[:, 0] + 1j * same.landmarks[:, 1] - shift) / towards
    return Face(face.box, np.stack([spots.real, spots.imag], axis=1).astype(np.float32), face.confidence)
