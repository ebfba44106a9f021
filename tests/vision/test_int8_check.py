import numpy as np
import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import OrtSession, Tensor
from app.vision import int8_check
from app.vision.embed import Embedder


class ClippedInput:
    """The real network with clipped input, as an example of different arithmetic."""

    def __init__(self, session: OrtSession, max_value: float) -> None:
        self._session = session
        self._max_value = max_value

    def run(self, batch: Tensor) -> list[Tensor]:
        return self._session.run(np.minimum(batch, np.float32(self._max_value)))


@pytest.fixture(scope="module")
def sessions(store: Store, pack: Pack) -> dict[str, OrtSession]:
    files = store.resolve(pack)
    spec = pack.embedder
    assert spec.int8_file
    return {name: OrtSession.open(files[name], "cpu", 1) for name in (spec.file, spec.int8_file)}


def test_the_int8_model_agrees_with_the_float32_model(sessions: dict[str, OrtSession], pack: Pack) -> None:
    float32, int8 = (Embedder(session, pack.embedder) for session in sessions.values())
    cosine = int8_check.int8_agreement(int8, float32, pack.embedder.input_size)
    assert pack.embedder.int8_min_cosine + 0.001 < cosine < 1 - 1e-6


def test_different_arithmetic_is_detected(sessions: dict[str, OrtSession], pack: Pack) -> None:
    float32, int8 = sessions.values()
    wrong = Embedder(ClippedInput(int8, 0.2), pack.embedder)
    cosine = int8_check.int8_agreement(wrong, Embedder(float32, pack.embedder), pack.embedder.input_size)
    assert cosine < pack.embedder.int8_min_cosine


@pytest.mark.parametrize("side", [112, 128, 150])
def test_the_synthetic_face_fills_the_crop(side: int) -> None:
    face = int8_check.synthetic_face(side)
    assert face.shape == (side, side, 3)
    assert face.dtype == np.uint8
    assert face.std() > 20
