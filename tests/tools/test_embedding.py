import numpy as np
import pytest

from app.errors import ErrorCode
from app.service.face_pipeline import EmbeddingPipeline
from app.tools import embedding
from app.tools.embedding import embed
from tests.support.images import astronaut, jpeg


def test_an_image_yields_its_embedding_or_its_error(embedding_pipeline: EmbeddingPipeline) -> None:
    assert np.linalg.norm(embed(embedding_pipeline, jpeg(astronaut()))[:-1]) == pytest.approx(1, abs=1e-4)
    blank = jpeg(np.full((100, 100, 3), 90, dtype=np.uint8))
    assert embed(embedding_pipeline, blank) is ErrorCode.NO_FACE_IN_PHOTO
    assert embed(embedding_pipeline, b"") is ErrorCode.IMAGE_EMPTY


def test_an_exceeded_deadline_is_an_error_code(
    embedding_pipeline: EmbeddingPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_IMAGE_DEADLINE_S", 0.0)
    assert embed(embedding_pipeline, jpeg(astronaut())) is ErrorCode.REQUEST_TIMEOUT
