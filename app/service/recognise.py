"""One picture -> the embedding of its face: the pipeline, as straight-line code.

Blocking; runs on a worker thread. The deadline is checked between the stages, and keeps how long each took.
"""

from __future__ import annotations

import numpy as np

from app.domain import Embedding, MatchingStrategy, Options
from app.ops.deadline import Deadline
from app.packs.manifest import Pack
from app.service.judge import Judge
from app.service.look import Close, Looker
from app.vision.align import align
from app.vision.embed import Embedder

_FACE_PER_EYES = 2.5
"""Square root of a face's box / distance of the eyes, of faces that look at the camera (London)."""
_ENLARGED = 1.25
"""How much a crop may enlarge the face it is made of; LFW's are enlarged by 1.3 for the largest crops."""


class Recogniser:
    """Everything between the bytes of a picture and an embedding."""

    def __init__(
        self, looker: Looker, judge: Judge, embedder: Embedder, pack: Pack, matching_strategy: MatchingStrategy
    ) -> None:
        self._looker = looker
        self._judge = judge
        self._embedder = embedder
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._side = pack.embedder.input_size
        self._size = _FACE_PER_EYES * float(np.linalg.norm(self._template[1] - self._template[0])) / _ENLARGED
        self._matching_strategy = matching_strategy

    def recognise(self, data: bytes, options: Options, deadline: Deadline) -> Embedding:
        """Return the embedding of the face chosen in the picture ``data``; raise ``ApiError`` for a bad picture."""
        image, face = self._choose(data, options, deadline)
        with deadline.stage("close_up"):
            landmarks = self._looker.look_closer(image, face).landmarks
        with deadline.stage("align"):
            crop = align(image, landmarks, self._template, self._side)
        with deadline.stage("embed"):
            return self._embedder.embed(crop)

    def _choose(self, data: bytes, options: Options, deadline: Deadline) -> Close:
        """Return the picture and the face to compare, which is good enough."""
        strategy = self._matching_strategy if options.matching_strategy is None else options.matching_strategy
        close = self._looker.look_at_one(data, strategy, self._size, deadline, rotate=options.rotate)
        if options.quality_control:
            image, face = self._looker.look_again(data, close, deadline, rotate=options.rotate)
            with deadline.stage("quality"):
                self._judge.check(image, face, options.quality_control)
        return close
