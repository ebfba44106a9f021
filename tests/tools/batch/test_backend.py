"""The embedding pipeline of a batch."""

import numpy as np
import pytest

from app.engine import SharedModels
from app.environment import Settings
from app.errors import ErrorCode
from app.packs.manifest import Pack
from app.packs.store import Store
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.batch.backend import embed, open_pipeline
from app.tools.batch.checkpoint import BatchError
from app.vision import int8_check
from tests.support.images import astronaut, jpeg


def test_an_image_yields_its_embedding_or_its_error(embedding_pipeline: EmbeddingPipeline) -> None:
    embedding = embed(embedding_pipeline, jpeg(astronaut()))
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-4)
    blank = jpeg(np.full((100, 100, 3), 90, dtype=np.uint8))
    assert embed(embedding_pipeline, blank) is ErrorCode.NO_FACE_IN_PHOTO


def test_another_model_than_that_of_the_batch_is_refused(
    settings: Settings, store: Store, pack: Pack, shared_models: SharedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_check, "MIN_COSINE", 1.1)
    with pytest.raises(BatchError, match=r"int8\.onnx cannot be used on this machine"):
        open_pipeline(settings, store, pack, shared_models)
