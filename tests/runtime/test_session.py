from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.providers import DeviceError, select_provider
from app.runtime.session import OrtSession


def test_a_device_that_is_not_there_is_refused_and_not_replaced() -> None:
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        select_provider("cuda", ["AzureExecutionProvider", "CPUExecutionProvider"])


def test_the_device_asked_for_is_used() -> None:
    assert select_provider("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]).name == "CUDAExecutionProvider"
    assert select_provider("cpu", ["CPUExecutionProvider"]).name == "CPUExecutionProvider"


def test_a_session_runs_a_batch_and_says_where(store: Store, pack: Pack) -> None:
    session = OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1)
    side = pack.embedder.input_size
    (output,) = session.run(np.zeros((3, 3, side, side), dtype=np.float32))
    assert output.shape == (3, pack.embedder.dimension)
    assert session.provider == "CPUExecutionProvider"


def test_cuda_without_a_gpu_refuses_to_open(store: Store, pack: Pack) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError):
        OrtSession.open(store.resolve(pack)[pack.embedder.file], "cuda", 1)
