"""One picture -> its faces, largest first, with pose and quality where they are asked for. Blocking."""

from __future__ import annotations

from app.domain import Attributes, Face, Image, SeenFace, Sight, Wanted
from app.errors import ApiError, ErrorCode
from app.ops.deadline import Deadline
from app.service.look import Looker
from app.vision.pose import pose
from app.vision.quality.assess import Assessor
from app.vision.quality.mask import is_masked
from app.vision.selection import largest_first

_MOST_ATTRIBUTES, _MOST_QUALITIES = 5, 30
"""Faces that get them, the largest ones; the vendor's DetectFace page."""


class Examiner:
    """Everything between the bytes of a picture and what is seen in it."""

    def __init__(self, looker: Looker, assessor: Assessor, level_pitch: float) -> None:
        """``level_pitch``: degrees of pitch that the detector's landmarks show of a face that looks straight ahead."""
        self._looker = looker
        self._assessor = assessor
        self._level_pitch = level_pitch

    def examine(self, data: bytes, wanted: Wanted, deadline: Deadline) -> Sight:
        """Return the faces of the picture ``data``; none, or none large enough, is an ``ApiError``."""
        image, faces = self._looker.look(data, deadline, rotate=wanted.rotate)
        if not faces:
            raise ApiError(ErrorCode.NO_FACE_IN_PHOTO)
        large = [face for face in largest_first(faces, image) if min(face.box.pixels[2:]) >= wanted.smallest]
        if not large:
            raise ApiError(ErrorCode.FACE_SIZE_TOO_SMALL)
        seen = []
        with deadline.stage("quality"):
            for rank, face in enumerate(large[: wanted.most]):
                deadline.check()
                seen.append(
                    self._see(
                        image,
                        face,
                        attributes=wanted.attributes and rank < _MOST_ATTRIBUTES,
                        quality=wanted.quality and rank < _MOST_QUALITIES,
                    )
                )
        height, width = image.shape[:2]
        return Sight(width, height, tuple(seen))

    def _see(self, image: Image, face: Face, *, attributes: bool, quality: bool) -> SeenFace:
        if not (attributes or quality):
            return SeenFace(face.box, face.landmarks, None, None)
        found = self._assessor.assess(image, face.landmarks)
        told = Attributes(pose(face.landmarks, self._level_pitch), is_masked(found.visible, found.crop.inside))
        return SeenFace(face.box, face.landmarks, told if attributes else None, found.quality if quality else None)
