import numpy as np
import onnxruntime
from onnx import ModelProto, numpy_helper

from app.packs.convert.equalise import equalise
from app.packs.convert.graph_builder import GraphBuilder

_CHANNELS, _SIDE = 4, 6
_EXPONENTS = np.array([0, 3, -2, 9])


def _model() -> ModelProto:
    """Two convolutions that are added, with a depthwise one and a gate between them and the last convolution."""
    random, builder = np.random.default_rng(0), GraphBuilder()

    def convolution(source: str, inputs: int, side: int, group: int = 1, output: str = "") -> str:
        filters = random.normal(0, 1, (_CHANNELS, inputs // group, side, side)).astype(np.float32)
        bias = random.normal(0, 1, _CHANNELS).astype(np.float32)
        constants = [builder.constant(filters), builder.constant(bias)]
        return builder.append("Conv", [source, *constants], output, group=group, pads=[side // 2] * 4)

    first = builder.append("LeakyRelu", [convolution("image", 3, 3, output="first")], alpha=-2.5)
    depthwise = builder.append("LeakyRelu", [convolution(first, _CHANNELS, 3, _CHANNELS, "depthwise")], alpha=0.5)
    branch = convolution(depthwise, _CHANNELS, 1, output="branch")
    pooled = builder.append("AveragePool", [branch], kernel_shape=[_SIDE, _SIDE], strides=[1, 1])
    gate = builder.append("Sigmoid", [convolution(pooled, _CHANNELS, 1)])
    total = builder.append("Add", [builder.append("Mul", [branch, gate]), convolution(first, _CHANNELS, 1, output="b")])
    builder.append("Flatten", [convolution(total, _CHANNELS, 3)], "embedding")
    return builder.model("test", [3, _SIDE, _SIDE])


def test_equalised_channels_are_scaled_and_the_output_is_unchanged() -> None:
    images = np.random.default_rng(1).normal(0, 1, (2, 3, _SIDE, _SIDE)).astype(np.float32)
    before, after = _model(), _model()
    equalise(after, dict.fromkeys(("first", "depthwise", "branch", "b"), _EXPONENTS))
    outputs = []
    for model in (before, after):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {"image": images})[0])
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-4)
    filters = [numpy_helper.to_array(model.graph.initializer[0]) for model in (before, after)]
    assert (filters[1] == filters[0] * np.exp2(_EXPONENTS)[:, None, None, None]).all()
