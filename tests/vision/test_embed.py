import numpy as np
import pytest
from numpy.typing import NDArray

from app.packs.manifest import EmbedderSpec, Pack
from app.vision.degradation import DegradationModel
from app.vision.embed import Embedder


class _RecordingSession:
    """A session that records its batch and returns the mean of each channel of each image."""

    def __init__(self) -> None:
        self.batch: NDArray[np.float32] = np.empty(0, dtype=np.float32)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self.batch = batch
        return [batch[:, :, :, 0].mean(axis=2)]


def _spec(pack: Pack, **changes: object) -> EmbedderSpec:
    return pack.embedder.model_copy(update={"input_size": 4, "mean": (10.0, 20.0, 30.0), "std": 2.0, **changes})


_CROP = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)


@pytest.mark.parametrize(("color", "channels"), [("RGB", (2, 1, 0)), ("BGR", (0, 1, 2))])
def test_the_input_follows_the_pack(pack: Pack, color: str, channels: tuple[int, ...]) -> None:
    session = _RecordingSession()
    Embedder(session, _spec(pack, color=color, mirror=False)).embed(_CROP)
    assert session.batch.shape == (1, 3, 4, 4)
    for position, channel in enumerate(channels):
        expected = (_CROP[:, :, channel].astype(float) - (10, 20, 30)[position]) / 2
        np.testing.assert_allclose(session.batch[0, position], expected)


def test_the_embedding_is_the_mean_of_the_crop_and_its_mirror_image(pack: Pack) -> None:
    session = _RecordingSession()
    embedding = Embedder(session, _spec(pack, mirror=True)).embed(_CROP)
    np.testing.assert_array_equal(session.batch[1], session.batch[0][:, :, ::-1])
    total = session.batch[:, :, :, 0].mean(axis=2).sum(axis=0)
    np.testing.assert_allclose(embedding[:-1], total / np.linalg.norm(total), rtol=1e-6)


def test_embeddings_have_unit_length(pack: Pack) -> None:
    embedding = Embedder(_RecordingSession(), _spec(pack, mirror=True)).embed(_CROP)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding[:-1]) == pytest.approx(1.0)


def test_the_last_value_is_the_degradation_of_the_vector(pack: Pack) -> None:
    session, spec = _RecordingSession(), _spec(pack, mirror=True)
    good = Embedder(session, spec).embed(_CROP)
    model = DegradationModel(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), np.ones(3, np.float32), 0.25)
    degraded = Embedder(session, spec, model).embed(_CROP)
    np.testing.assert_array_equal(degraded[:-1], good[:-1])
    assert good[-1] == 0
    assert degraded[-1] == pytest.approx(0.25 + good[:-1].clip(0).sum())
