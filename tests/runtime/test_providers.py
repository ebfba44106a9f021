from __future__ import annotations

import pytest

from app.runtime.providers import PROVIDERS, DeviceError, Node, check_build, check_placement, select_provider

_BOTH = ("onnxruntime", "onnxruntime-gpu")


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_not_there_is_refused_and_not_replaced(device: str) -> None:
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        select_provider(device, ["AzureExecutionProvider", "CPUExecutionProvider"])


@pytest.mark.parametrize("device", ["cpu", "cuda", "tensorrt"])
def test_the_device_asked_for_is_used(device: str) -> None:
    offered = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert select_provider(device, offered).name.lower().startswith(device)


def test_no_device_calculates_in_less_than_float32() -> None:
    assert PROVIDERS["cuda"].options["use_tf32"] == "0"
    assert PROVIDERS["tensorrt"].options["trt_fp16_enable"] == "0"
    assert PROVIDERS["tensorrt"].environment == {"NVIDIA_TF32_OVERRIDE": "0"}


@pytest.mark.parametrize("installed", [["onnxruntime"], ["onnxruntime-gpu"], []])
def test_one_build_of_onnxruntime_is_fine_however_it_came(installed: list[str]) -> None:
    check_build(installed, is_whole=True)


@pytest.mark.parametrize("is_whole", [True, False])
def test_two_builds_of_onnxruntime_are_refused_with_the_way_out(is_whole: bool) -> None:
    with pytest.raises(DeviceError, match=r"both installed.*pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_build(_BOTH, is_whole=is_whole)


def test_what_is_left_after_one_of_two_builds_was_uninstalled_is_refused() -> None:
    with pytest.raises(DeviceError, match="files of onnxruntime are missing"):
        check_build(["onnxruntime-gpu"], is_whole=False)


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
def test_a_device_may_leave_small_work_to_the_cpu(device: str, nodes: list[Node]) -> None:
    check_placement(device, "model.onnx", nodes)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "Gemm", "MatMul"])
def test_a_device_that_leaves_heavy_work_to_the_cpu_is_refused(operator: str) -> None:
    with pytest.raises(DeviceError, match=r"'cuda' leaves 1 of 2 .* of model\.onnx to the CPU"):
        check_placement("cuda", "model.onnx", [Node(_GPU, "Conv"), Node(_GPU, "Relu"), Node(_CPU, operator)])
