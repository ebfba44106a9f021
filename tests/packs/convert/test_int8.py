from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from app.packs.convert.graph_builder import GraphBuilder
from app.packs.convert.int8 import Range, closest_scales, quantise

Array: TypeAlias = NDArray[Any]

RANGES: dict[str, Range] = {"image": (-1, 1), "positive": (0, 4), "signed": (-5, 5), "sum": (-5, 9)}


def _model(filters: Array) -> ModelProto:
    """Return a network of two convolutions, ReLU, pool, addition of padded channels, and a mean in float32."""
    rng = np.random.default_rng(5)
    weights: dict[str, Array] = {
        "one": filters,
        "two": rng.normal(size=(6, 4, 3, 3)).astype(np.float32) / 4,
        "bias_one": rng.normal(size=4).astype(np.float32) / 4,
        "bias_two": rng.normal(size=6).astype(np.float32) / 4,
        "pads": np.array([0, 0, 0, 0, 0, 2, 0, 0], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "one", "bias_one"], ["first"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["first"], ["positive"], name="positive"),
        helper.make_node("MaxPool", ["positive"], ["pooled"], name="pooled", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled", "two", "bias_two"], ["signed"], name="signed", pads=[1, 1, 1, 1]),
        helper.make_node("Pad", ["pooled", "pads"], ["padded"], name="padded"),
        helper.make_node("Add", ["signed", "padded"], ["sum"], name="sum"),
        helper.make_node("GlobalAveragePool", ["sum"], ["mean"], name="mean"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 6, 1, 1])
    initialisers = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "small", [image], [mean], initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module")
def model() -> ModelProto:
    return _model(np.random.default_rng(4).normal(size=(4, 3, 3, 3)).astype(np.float32) / 3)


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(3).uniform(-1, 1, (64, 3, 8, 8)).astype(np.float32)


def _run(model: ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (means,) = session.run(None, {"image": images})
    result: NDArray[np.float32] = means
    return result


def _weights(model: ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_the_quantised_network_gives_nearly_the_same_output(model: ModelProto, images: NDArray[np.float32]) -> None:
    exact, quantised = _run(model, images), _run(quantise(model, RANGES), images)
    assert np.abs(quantised - exact).max() < 0.05 < exact.std() / 10


def test_convolutions_and_additions_run_in_integers(model: ModelProto, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        quantise(model, RANGES).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    ops = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    assert {"QLinearConv", "QLinearAdd", "GlobalAveragePool"} <= ops
    assert not {"Conv", "Add", "Relu"} & ops


def test_two_products_of_the_largest_values_fit_in_sixteen_bits(model: ModelProto) -> None:
    """CPUs without VNNI would overflow otherwise."""
    weights = _weights(quantise(model, RANGES))
    for name in ("one", "two"):
        assert weights[name].dtype == np.int8
        assert 2 * 255 * int(np.abs(weights[name].astype(int)).max()) < 2**15


def test_every_output_channel_has_the_scale_with_the_least_error() -> None:
    filters = np.random.default_rng(6).normal(size=(3, 4096, 3, 3)).astype(np.float32)
    filters[1, 0, 0, 0] = 8  # a scale without saturation would be coarse for all others
    weights = filters.reshape(3, -1)
    unsaturated = np.abs(weights).max(axis=1) / np.float32(63)

    def squared_error(scales: Array) -> Array:
        kept = np.clip(np.rint(weights / scales[:, None]), -63, 63) * scales[:, None]
        return np.asarray(np.square(kept - weights).sum(axis=1))

    scales = closest_scales(filters)
    assert np.all(scales <= unsaturated)
    assert scales[1] < 0.8 * unsaturated[1]
    for fraction in np.linspace(0.5, 1, 26, dtype=np.float32):
        assert np.all(squared_error(scales) <= squared_error(fraction * unsaturated) * (1 + 1e-4))


def test_a_channel_of_zero_weights_outputs_its_bias(images: NDArray[np.float32]) -> None:
    filters = np.random.default_rng(4).normal(size=(4, 3, 3, 3)).astype(np.float32) / 3
    filters[1] = 0
    model = _model(filters)
    assert np.abs(_run(quantise(model, RANGES), images) - _run(model, images)).max() < 0.05


def test_values_outside_the_range_saturate(model: ModelProto, images: NDArray[np.float32]) -> None:
    narrow = quantise(model, RANGES | {"sum": (-0.5, 0.5)})
    assert _run(model, images).max() > 0.5
    assert np.abs(_run(narrow, images)).max() <= 0.51


def test_a_tensor_without_a_range_stays_float32(model: ModelProto, images: NDArray[np.float32]) -> None:
    only_image = quantise(model, {"image": (-1, 1)})
    ops = [node.op_type for node in only_image.graph.node]
    assert ops.count("QuantizeLinear") == 1
    assert np.abs(_run(only_image, images) - _run(model, images)).max() < 0.05


def test_quantisation_is_deterministic(model: ModelProto) -> None:
    first, second = (quantise(model, RANGES).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("slope", [-7.9, -0.4, 0.05, 0.8, 3.7])
def test_a_leaky_relu_is_quantised_for_any_slope(slope: float) -> None:
    builder = GraphBuilder()
    builder.append("Flatten", [builder.append("LeakyRelu", ["image"], alpha=slope)], "embedding")
    float32 = builder.model("test", [1, 1, 256])
    low, high = min(-slope, 0.0), max(1.0, -slope)
    model = quantise(float32, {"image": (-1, 1), "leakyrelu_0": (low, high)})
    images = np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 1, 1, 256)
    tolerance = (high - low) / 255 + max(1, abs(slope)) * 2 / 255  # a step of the output, a step of the input
    np.testing.assert_allclose(_run(model, images), _run(float32, images), atol=tolerance)
