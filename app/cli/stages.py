"""Where the time of one picture goes, stage by stage, on one thread.

Each stage runs alone, over and over, on what the stage before gave; ``whole`` is the pipeline itself, and ``networks``
what its ``session.run`` calls take, run again bare in one loop: no code around them can save that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from app.domain import Image, MatchingStrategy, Options, QualityPolicy
from app.imaging.decode import Picture
from app.ops.deadline import Deadline
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession, Session, Tensor
from app.service.judge import Judge
from app.service.look import Looker
from app.service.recognise import Recogniser
from app.settings import RuntimeSettings
from app.vision import proof
from app.vision.align import align
from app.vision.detect import DETECTORS
from app.vision.embed import Embedder
from app.vision.quality.assess import Assessor
from app.vision.search import GLANCED, Trust, find_face, refine

_WARM_UP, _RUNS = 3, 20
_PATIENCE_S = 60.0

_T = TypeVar("_T")


class Stages(NamedTuple):
    """Milliseconds, medians."""

    decode: float
    find: float
    close_up: float
    align: float
    embed: float
    whole: float
    networks: float


class Recorded:
    """A session that remembers what it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.asked: list[Tensor] = []

    def run(self, batch: Tensor) -> list[Tensor]:
        self.asked.append(batch)
        return self._session.run(batch)

    def run_again(self) -> None:
        """Run all of it bare, in one loop."""
        for batch in self.asked:
            self._session.run(batch)


class Bench:
    """The models of a pack on one thread, which remember what they were asked."""

    def __init__(self, store: Store, pack: Pack, runtime: RuntimeSettings, assessor: Assessor) -> None:
        cv2.setNumThreads(1)
        pack, files = store.ready(pack, runtime)

        def open_file(name: str) -> Session:
            return OrtSession.open(files[name], runtime.device, 1)

        _, embedder = proof.choose(pack.embedder, runtime, open_file)
        self._sessions = [Recorded(open_file(pack.detector.file)), Recorded(embedder)]
        self._spec, self._side = pack.detector, pack.embedder.input_size
        self._trust = Trust.of(pack.detector)
        self._template = np.array(pack.embedder.template, dtype=np.float32)
        self._detector = DETECTORS[pack.detector.family](self._sessions[0], pack.detector)
        self._embedder = Embedder(self._sessions[1], pack.embedder)
        looker, judge = Looker(self._detector, pack.detector), Judge(assessor, QualityPolicy.ACCEPT_DESCRIBED)
        self._recogniser = Recogniser(looker, judge, self._embedder, pack, MatchingStrategy.LARGEST)

    def stages(self, data: bytes) -> Stages:
        """Measure the picture ``data``; raise ``ApiError`` where there is nothing to compare."""
        image, decoding = _timed(partial(_decoded, data))
        find = partial(find_face, self._detector, image, MatchingStrategy.LARGEST, self._trust, rotate=False)
        face, finding = _timed(find)
        close, refining = _timed(partial(refine, self._detector, image, face, self._spec.close_up))
        crop, aligning = _timed(partial(align, image, close.landmarks, self._template, self._side))
        _, embedding = _timed(partial(self._embedder.embed, crop))
        _, whole = _timed(lambda: self._recogniser.recognise(data, Options(), Deadline.after(_PATIENCE_S)))
        return Stages(decoding, finding, refining, aligning, embedding, whole, self._networks(data))

    def _networks(self, data: bytes) -> float:
        for session in self._sessions:
            session.asked.clear()
        self._recogniser.recognise(data, Options(), Deadline.after(_PATIENCE_S))
        return _timed(self._run_again)[1]

    def _run_again(self) -> None:
        for session in self._sessions:
            session.run_again()


def _decoded(data: bytes) -> Image:
    picture = Picture(data)
    return picture.pixels(picture.reduction(GLANCED))


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """Return the result of ``work``, and the median of the milliseconds it takes."""
    for _ in range(_WARM_UP):
        result = work()
    taken = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return result, median(taken)
