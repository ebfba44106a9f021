import pytest

from app.runtime.providers import PROVIDERS, DeviceError, Node, check_build, check_placement, select_provider

_BOTH = ("onnxruntime", "onnxruntime-gpu")


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_an_unavailable_device_is_refused_and_not_replaced(device: str) -> None:
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        select_provider(device, ["AzureExecutionProvider", "CPUExecutionProvider"])


@pytest.mark.parametrize("device", ["cpu", "cuda", "tensorrt"])
def test_the_requested_device_is_used(device: str) -> None:
    available = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert select_provider(device, available).name.lower().startswith(device)


def test_all_devices_calculate_in_float32() -> None:
    assert PROVIDERS["cuda"].options["use_tf32"] == "0"
    assert PROVIDERS["tensorrt"].options["trt_fp16_enable"] == "0"
    assert PROVIDERS["tensorrt"].environment == {"NVIDIA_TF32_OVERRIDE": "0"}


@pytest.mark.parametrize("installed", [["onnxruntime"], ["onnxruntime-gpu"], []])
def test_a_single_build_of_onnxruntime_is_accepted(installed: list[str]) -> None:
    check_build(installed, is_complete=True)


@pytest.mark.parametrize("is_complete", [True, False])
def test_two_builds_of_onnxruntime_are_refused_with_the_commands_that_fix_it(is_complete: bool) -> None:
    with pytest.raises(DeviceError, match=r"both installed.*-m pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_build(_BOTH, is_complete=is_complete)


def test_an_incomplete_build_is_refused() -> None:
    with pytest.raises(DeviceError, match="files of onnxruntime are missing"):
        check_build(["onnxruntime-gpu"], is_complete=False)


_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("device", "nodes"),
    [
        ("cuda", [Node(_GPU, "Conv"), Node(_GPU, "Relu")]),
        ("cuda", [Node(_GPU, "Conv"), Node(_CPU, "Shape"), Node(_CPU, "Gather")]),
        ("tensorrt", [Node("TensorrtExecutionProvider", "Conv"), Node(_GPU, "Gemm"), Node(_CPU, "Concat")]),
        ("cpu", [Node(_CPU, "Conv"), Node(_CPU, "MatMul")]),
    ],
)
def test_a_device_may_leave_cheap_nodes_to_the_cpu(device: str, nodes: list[Node]) -> None:
    check_placement(device, "model.onnx", nodes)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "Gemm", "MatMul"])
def test_a_device_that_leaves_expensive_nodes_to_the_cpu_is_refused(operator: str) -> None:
    with pytest.raises(DeviceError, match=r"'cuda' leaves 1 of 2 .* of model\.onnx to the CPU"):
        check_placement("cuda", "model.onnx", [Node(_GPU, "Conv"), Node(_GPU, "Relu"), Node(_CPU, operator)])
