"""One picture -> its pixels and its faces: what every use case starts with. Blocking."""

from __future__ import annotations

from typing import NamedTuple

from app.domain import Face, Image
from app.imaging.decode import decode
from app.ops.deadline import Deadline
from app.vision.detect.base import Detector
from app.vision.rotation import find_faces


class View(NamedTuple):
    """An upright picture and its faces, in its pixels."""

    image: Image
    faces: list[Face]


class _Timed:
    """A detector that stops when the time of the request is over."""

    def __init__(self, detector: Detector, deadline: Deadline) -> None:
        self._detector = detector
        self._deadline = deadline

    def detect(self, image: Image) -> list[Face]:
        self._deadline.check()
        return self._detector.detect(image)


class Looker:
    """Decodes pictures and finds faces."""

    def __init__(self, detector: Detector, clear: float) -> None:
        """``clear``: the confidence from which a face of this detector is beyond doubt."""
        self._detector = detector
        self._clear = clear

    def look(self, data: bytes, deadline: Deadline, *, rotate: bool) -> View:
        """Return the picture ``data`` and its faces, perhaps none; raise ``ApiError`` for a bad picture."""
        deadline.check()
        image = decode(data)
        return View(image, find_faces(_Timed(self._detector, deadline), image, rotate=rotate, clear=self._clear))
