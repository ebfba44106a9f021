from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.packs.manifest import EmbedderSpec, Pack
from app.vision.embed import Embedder


class _Recorder:
    """A session that remembers its batch and answers with each view's channel means."""

    def __init__(self) -> None:
        self.batch: NDArray[np.float32] = np.empty(0, dtype=np.float32)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self.batch = batch
        return [batch[:, :, :, 0].mean(axis=2)]


def _spec(pack: Pack, **changes: object) -> EmbedderSpec:
    return pack.embedder.model_copy(update={"input_size": 4, "mean": (10.0, 20.0, 30.0), "std": 2.0, **changes})


_CROP = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)


@pytest.mark.parametrize(("color", "channels"), [("RGB", (2, 1, 0)), ("BGR", (0, 1, 2))])
def test_the_network_sees_what_the_pack_says(pack: Pack, color: str, channels: tuple[int, ...]) -> None:
    session = _Recorder()
    Embedder(session, _spec(pack, color=color, mirror=False)).embed(_CROP)
    assert session.batch.shape == (1, 3, 4, 4)
    for position, channel in enumerate(channels):
        expected = (_CROP[:, :, channel].astype(float) - (10, 20, 30)[position]) / 2
        np.testing.assert_allclose(session.batch[0, position], expected)


def test_the_mirror_image_is_embedded_with_the_crop(pack: Pack) -> None:
    session = _Recorder()
    embedding = Embedder(session, _spec(pack, mirror=True)).embed(_CROP)
    np.testing.assert_array_equal(session.batch[1], session.batch[0][:, :, ::-1])
    total = session.batch[:, :, :, 0].mean(axis=2).sum(axis=0)
    np.testing.assert_allclose(embedding, total / np.linalg.norm(total), rtol=1e-6)


def test_embeddings_have_unit_length(pack: Pack) -> None:
    embedding = Embedder(_Recorder(), _spec(pack, mirror=True)).embed(_CROP)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1.0)
