"""One picture -> the embedding of its face: the pipeline, as straight-line code.

Blocking; runs on a worker thread. The deadline is checked between the stages.
"""

from __future__ import annotations

import numpy as np

from app.domain import Crop, Embedding, Face, Image, MatchingStrategy, Options
from app.imaging.decode import decode
from app.ops.deadline import Deadline
from app.packs.manifest import Pack
from app.vision.align import align
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.rotation import find_faces
from app.vision.selection import select


class Recogniser:
    """Everything between the bytes of a picture and an embedding."""

    def __init__(self, detector: Detector, embedder: Embedder, pack: Pack, matching_strategy: MatchingStrategy) -> None:
        self._detector = detector
        self._embedder = embedder
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side = pack.embedder.input_size
        self._clear = pack.detector.clear
        self._matching_strategy = matching_strategy

    def recognise(self, data: bytes, options: Options, deadline: Deadline) -> Embedding:
        """Return the embedding of the face chosen in the picture ``data``; raise ``ApiError`` for a bad picture."""
        deadline.check()
        image = decode(data)
        deadline.check()
        image, face = self._find(image, options)
        crop = self._crop(image, face)
        deadline.check()
        return self._embedder.embed(crop)

    def _find(self, image: Image, options: Options) -> tuple[Image, Face]:
        image, faces = find_faces(self._detector, image, rotate=options.rotate)
        strategy = self._matching_strategy if options.matching_strategy is None else options.matching_strategy
        return image, select(faces, image, strategy, self._clear)

    def _crop(self, image: Image, face: Face) -> Crop:
        return align(image, face.landmarks, self._template, self._side)
