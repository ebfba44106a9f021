"""The embedding pipeline of a batch."""

import pytest

from app.engine import SharedResources
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.tools.batch.backend import open_pipeline
from app.tools.batch.checkpoint import BatchError
from app.vision import int8_check


def test_another_model_than_that_of_the_batch_is_refused(
    settings: Settings, store: Store, pack: Pack, shared_models: SharedResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_check, "int8_agreement", lambda *_: 0.9)
    with pytest.raises(BatchError, match=r"int8\.onnx cannot be used on this machine"):
        open_pipeline(settings, store, pack, shared_models)
