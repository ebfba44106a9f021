from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

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


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize(("declared", "outputs"), [(1, 1), ("batch", 1), ("batch", "batch")])
def test_any_batch_runs_without_a_word_whatever_the_file_declares(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], declared: int | str, outputs: int | str, batch: int
) -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("Mul", ["flat", "flat"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "square",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [declared, 3, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [outputs, 12])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    data = np.random.default_rng(1).uniform(size=(batch, 3, 2, 2)).astype(np.float32)
    (output,) = OrtSession.open(tmp_path / "m.onnx", "cpu", 1).run(data)
    np.testing.assert_allclose(output, data.reshape(batch, 12) ** 2, rtol=1e-6)
    assert capfd.readouterr().err == ""


def test_cuda_without_a_gpu_refuses_to_open(store: Store, pack: Pack) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError):
        OrtSession.open(store.resolve(pack)[pack.embedder.file], "cuda", 1)


def test_onnxruntime_does_not_phone_home(tmp_path: Path, store: Store, pack: Pack) -> None:
    """Its telemetry would leave a device id and a database of events in the user's cache."""
    path = store.resolve(pack)[pack.embedder.file]
    program = (
        "from pathlib import Path; from app.runtime.session import OrtSession; "
        f"OrtSession.open(Path({str(path)!r}), 'cpu', 1)"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", program], check=True, env=home, cwd=Path(__file__).parents[2])
    assert list(tmp_path.rglob("*")) == []
