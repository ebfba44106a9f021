from __future__ import annotations

import numpy as np
import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession, Tensor
from app.vision import int8_check
from app.vision.embed import Embedder


class Dimmed:
    """The real network, shown a little less than there is: it stands for one that calculates otherwise."""

    def __init__(self, session: OrtSession, most: float) -> None:
        self._session = session
        self._most = most

    def run(self, batch: Tensor) -> list[Tensor]:
        return self._session.run(np.minimum(batch, np.float32(self._most)))


@pytest.fixture(scope="module")
def sessions(store: Store, pack: Pack) -> dict[str, OrtSession]:
    files = store.resolve(pack)
    spec = pack.embedder
    assert spec.int8_file
    return {name: OrtSession.open(files[name], "cpu", 1) for name in (spec.file, spec.int8_file)}


def test_the_network_in_integers_stands_for_the_other(sessions: dict[str, OrtSession], pack: Pack) -> None:
    whole, small = (Embedder(session, pack.embedder) for session in sessions.values())
    assert int8_check.MIN_COSINE + 0.001 < int8_check.int8_agreement(small, whole, pack.embedder.input_size) < 1 - 1e-6


def test_one_that_calculates_otherwise_does_not(sessions: dict[str, OrtSession], pack: Pack) -> None:
    whole, small = sessions.values()
    wrong = Embedder(Dimmed(small, 0.2), pack.embedder)
    assert (
        int8_check.int8_agreement(wrong, Embedder(whole, pack.embedder), pack.embedder.input_size)
        < int8_check.MIN_COSINE
    )


@pytest.mark.parametrize("side", [112, 128, 150])
def test_the_drawn_face_fills_the_crop(side: int) -> None:
    face = int8_check.synthetic_face(side)
    assert face.shape == (side, side, 3)
    assert face.dtype == np.uint8
    assert face.std() > 20
