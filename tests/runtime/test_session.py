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
from app.runtime.providers import PROVIDERS, DeviceError, Provider
from app.runtime.session import OrtSession


def test_a_session_runs_a_batch_and_reports_the_provider_of_its_nodes(store: Store, pack: Pack) -> None:
    session = OrtSession.open(store.resolve(pack)[pack.embedder.file], "cpu", 1)
    side = pack.embedder.input_size
    (output,) = session.run(np.zeros((3, 3, side, side), dtype=np.float32))
    assert output.shape == (3, pack.embedder.dimension)
    assert list(session.placement) == ["CPUExecutionProvider"]
    assert session.placement["CPUExecutionProvider"] > 50


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize(("declared", "outputs"), [(1, 1), ("batch", 1), ("batch", "batch")])
def test_any_batch_size_runs_without_warnings_whatever_the_file_declares(
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


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_gpu_devices_are_refused_without_a_gpu(store: Store, pack: Pack, device: str) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=f"device '{device}'"):
        OrtSession.open(store.resolve(pack)[pack.embedder.file], device, 1)


def test_a_provider_that_leaves_all_nodes_to_the_cpu_is_refused(
    store: Store, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every CPU build has Azure's provider. It calls remote models and runs no node of a local one."""
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime lacks Azure's provider")
    monkeypatch.setitem(PROVIDERS, "azure", Provider("AzureExecutionProvider", {}, "choose another"))
    with pytest.raises(DeviceError, match=r"'azure' leaves (\d+) of \1 convolutions .* to the CPU: choose another"):
        OrtSession.open(store.resolve(pack)[pack.embedder.file], "azure", 1)


def test_onnxruntime_writes_no_telemetry(tmp_path: Path, store: Store, pack: Pack) -> None:
    """Telemetry would write a device id and an event database into the user's cache."""
    path = store.resolve(pack)[pack.embedder.file]
    program = (
        "from pathlib import Path; from app.runtime.session import OrtSession; "
        f"OrtSession.open(Path({str(path)!r}), 'cpu', 1)"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", program], check=True, env=home, cwd=Path(__file__).parents[2])
    assert list(tmp_path.rglob("*")) == []
