"""Faces of a picture, whichever way up they stand (``NeedRotateDetection``), where no EXIF tells.

In: a picture. Out: its faces, in pixels of that picture: what is turned is only what the detector looks at. Landmarks
keep their meaning (the "left eye" is the left one when the face is upright), so that ``align`` sets a face upright.

Detectors find faces well that lean by up to some 30 degrees, and most others somehow, with landmarks far off. So the
picture is looked at in quarter turns, upright first, then in the turns between. The README's Decisions have numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain import Box, Face, Image, Landmarks
from app.vision.detect.base import Detector
from app.vision.pose import HEAD

TURNS = ((0.0, -90.0, 90.0, 180.0), (-45.0, 45.0, -135.0, 135.0))
"""Degrees clockwise: upright, then likeliest first; those between the quarters only where a quarter shows some face."""
_SIDEWAYS = 60.0
"""Degrees of roll from which landmarks are a guess."""
_EYES = 0.26
"""Distance of the eyes, in square roots of the box's area, below which landmarks are a guess. It is .37 in the median
and .27 at the least for the largest face of each of 5206 upright pictures; sideways, landmarks flock to the middle."""
_EYE_DISTANCE = float(HEAD[1, 0] - HEAD[0, 0])
_EYES_TO_MOUTH = float(HEAD[3, 1] - HEAD[0, 1])
_CENTRED = (HEAD[:, 0] + 1j * HEAD[:, 1]) - np.mean(HEAD[:, 0] + 1j * HEAD[:, 1])
_FIT = _CENTRED.conj() / np.vdot(_CENTRED, _CENTRED)
"""What each landmark, x + iy, adds to scale and roll of the standard face that fits best (as ``align.similarity``)."""
_LEANING = 25.0
"""Degrees of roll up to which landmarks are good; half of the steps and a little."""
FOR_UPRIGHT = 0.02
"""Confidence that another turn must have ahead of the upright picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A picture's turn, on a canvas that holds all of it. ``matrix`` 2 x 3: its pixels -> those of the turned one."""

    degrees: float
    matrix: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def of(cls, image: Image, degrees: float) -> Self:
        """The turn of ``image`` by ``degrees`` clockwise about its centre."""
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((0, 0), -degrees, 1).astype(np.float64).round(12)
        size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
        matrix[:, 2] = (size - 1) / 2 - matrix[:, :2] @ ((width - 1) / 2, (height - 1) / 2)
        return cls(degrees, matrix, int(size[0]), int(size[1]))

    def image(self, image: Image) -> Image:
        """Turn the picture; black around it."""
        if not self.degrees:
            return image
        return cv2.warpAffine(image, self.matrix, (self.width, self.height)).astype(np.uint8, copy=False)

    def points_back(self, points: NDArray[np.floating]) -> Landmarks:
        """N x 2 pixels of the turned picture -> pixels of the picture."""
        return ((points - self.matrix[:, 2]) @ self.matrix[:, :2]).astype(np.float32)

    def face_back(self, face: Face) -> Face:
        """A face of the turned picture -> the same in the picture.

        Its box keeps centre and sides and is turned by the nearest quarter turn, which is exact where the turn is one.
        """
        if not self.degrees:
            return face
        box = face.box
        x, y = self.points_back(np.array([[box.left + box.right, box.top + box.bottom]]) / 2)[0].tolist()
        across, down = (box.right - box.left) / 2, (box.bottom - box.top) / 2
        if abs(self.matrix[0, 1]) > abs(self.matrix[0, 0]):
            across, down = down, across
        upright = Box(x - across, y - down, x + across, y + down)
        return Face(upright, self.points_back(face.landmarks), face.confidence)


class _Look(NamedTuple):
    """The upright faces of a turned picture, in its pixels."""

    turn: Turn
    faces: list[Face]

    @property
    def evidence(self) -> float:
        """How much speaks for this turn: confidence in its best face, less the more it leans."""
        return max(map(_evidence, self.faces), default=0.0) + (0.0 if self.turn.degrees else FOR_UPRIGHT)

    def is_convincing(self, sure: float) -> bool:
        return any(face.confidence >= sure and leans_little(face) for face in self.faces)

    def faces_back(self) -> list[Face]:
        """Its faces, in pixels of the picture."""
        return [self.turn.face_back(face) for face in self.faces]


def find_faces(detector: Detector, image: Image, *, rotate: bool, sure: float) -> list[Face]:
    """Return the faces of ``image``; without ``rotate``, those upright in it as it is, which takes one detection.

    With ``rotate``, those of the turn that shows upright faces best. ``sure``: the confidence from which no face of
    this detector is upside down, or on its side.
    """
    if not rotate:
        return _look(detector, image, 0.0).faces
    looks: list[_Look] = []
    for degrees in TURNS:
        for each in degrees:
            look = _look(detector, image, each)
            if look.is_convincing(sure):
                return look.faces_back()
            looks.append(look)
        best = max(looks, key=lambda look: look.evidence)
        if not best.faces:
            break
    return best.faces_back()


def roll(face: Face) -> float:
    """By how many degrees it leans clockwise, (-180, 180]."""
    return float(np.degrees(np.angle(_pose(face))))


def leans_little(face: Face) -> bool:
    """Whether landmarks of such a face are good."""
    return abs(roll(face)) <= _LEANING


def is_upright(face: Face) -> bool:
    """Whether its landmarks are those of a face that stands or leans, and no guess."""
    fitted = _pose(face)
    left, right, _, mouth_left, mouth_right = face.landmarks
    down = np.hypot(*(mouth_left + mouth_right - left - right)) / 2
    scale = max(abs(fitted), float(down) / _EYES_TO_MOUTH)  # of a profile only the height is left
    leans = abs(float(np.degrees(np.angle(fitted))))
    return leans < _SIDEWAYS and scale * _EYE_DISTANCE > _EYES * face.box.area**0.5


def _pose(face: Face) -> complex:
    """Scale and roll of the standard face that fits best."""
    return complex((face.landmarks[:, 0] + 1j * face.landmarks[:, 1]) @ _FIT)


def _look(detector: Detector, image: Image, degrees: float) -> _Look:
    turn = Turn.of(image, degrees)
    return _Look(turn, [face for face in detector.detect(turn.image(image)) if is_upright(face)])


def _evidence(face: Face) -> float:
    return face.confidence * float(np.cos(np.radians(roll(face))))
