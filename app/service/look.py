"""One picture -> its pixels and its faces: what every use case starts with. Blocking."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from app.domain import Face, Image, MatchingStrategy
from app.imaging.decode import Picture
from app.imaging.decoders import Decoders
from app.ops.deadline import Deadline
from app.packs.manifest import DetectorSpec
from app.vision.detect.base import Detector
from app.vision.rotation import find_faces
from app.vision.search import GLANCED, Trust, glance, refine
from app.vision.selection import found_again, select


class View(NamedTuple):
    """An upright picture and its faces, in its pixels."""

    image: Image
    faces: list[Face]


class Close(NamedTuple):
    """An upright picture, perhaps of fewer pixels than the file has, and the face to compare, in its pixels."""

    image: Image
    face: Face


class _Timed:
    """A detector that stops when the time of the request is over."""

    def __init__(self, detector: Detector, deadline: Deadline) -> None:
        self._detector = detector
        self._deadline = deadline

    def detect(self, image: Image, side: int | None = None) -> list[Face]:
        self._deadline.check()
        return self._detector.detect(image, side)


class Looker:
    """Decodes pictures and finds faces."""

    def __init__(self, detector: Detector, spec: DetectorSpec, decoders: Decoders | None = None) -> None:
        """Without ``decoders`` pictures are decoded in this process."""
        self._decoders = decoders
        self._detector = detector
        self._trust = Trust.of(spec)
        self._side = spec.max_side
        self._close_up = spec.close_up

    def look(self, data: bytes, deadline: Deadline, *, rotate: bool) -> View:
        """Return the picture ``data`` and all its faces, perhaps none; raise ``ApiError`` for a bad picture."""
        with deadline.stage("decode"):
            image = self._open(data, deadline).pixels()
        with deadline.stage("find"):
            faces = find_faces(_Timed(self._detector, deadline), image, rotate=rotate, sure=self._trust.sure)
        return View(image, faces)

    def look_at_one(
        self, data: bytes, strategy: MatchingStrategy, size: float, deadline: Deadline, *, rotate: bool
    ) -> Close:
        """Return the picture ``data`` and the face to compare; raise ``ApiError`` for a bad picture, or without a face.

        No more is decoded, and looked at, than the choice of the face and its crop need: ``size`` pixels of the face,
        square root of its box.
        """
        detector = _Timed(self._detector, deadline)
        with deadline.stage("decode"):
            picture = self._open(data, deadline)
            reduction = picture.reduction(GLANCED if strategy is MatchingStrategy.LARGEST else self._side)
            image = picture.pixels(reduction)
        with deadline.stage("find"):
            face = glance(detector, image, strategy, self._trust, rotate=rotate)
        if face is None:
            coarse, reduction = reduction, picture.reduction(self._side)
            if reduction != coarse:
                with deadline.stage("decode"):
                    image = picture.pixels(reduction)
            with deadline.stage("find"):
                faces = find_faces(detector, image, rotate=rotate, sure=self._trust.sure)
                face = select(faces, image, strategy, self._trust.clear)
        finer = _divided(reduction, face.box.area**0.5 / size)
        if finer < reduction:
            with deadline.stage("decode"):
                image, face = picture.pixels(finer), face.times(reduction // finer)
        return Close(image, face)

    def look_again(self, data: bytes, close: Close, deadline: Deadline, *, rotate: bool) -> Close:
        """Return all pixels of the picture ``data``, and the face of ``close`` as the whole search finds it there."""
        image, faces = self.look(data, deadline, rotate=rotate)
        chosen = close.face.times(image.shape[0] / close.image.shape[0])
        return Close(image, found_again(faces, chosen.box) or chosen)

    def look_closer(self, image: Image, face: Face) -> Face:
        """Return ``face`` with the landmarks by which it is compared."""
        return refine(self._detector, image, face, self._close_up)

    def _open(self, data: bytes, deadline: Deadline) -> Picture:
        return Picture(data, partial(self._decoders.unpack, deadline)) if self._decoders else Picture(data)


def _divided(reduction: int, ratio: float) -> int:
    """Return what is left of ``reduction``, a power of two, once a face ``ratio`` of the size it needs has that."""
    while reduction > 1 and ratio < 1:
        reduction, ratio = reduction // 2, ratio * 2
    return reduction
