import numpy as np
import onnxruntime
import pytest
from onnx.shape_inference import InferenceError

from app.packs.convert.graph_builder import GraphBuilder

_SHAPE = (3, 2, 2)


def _flat_network(offset_shape: tuple[int, ...]) -> GraphBuilder:
    builder = GraphBuilder()
    offset = builder.constant(np.ones(offset_shape, np.float32))
    total = builder.append("Add", ["image", offset])
    builder.append("Flatten", [total], "embedding", axis=1)
    return builder


def test_the_model_runs_with_a_symbolic_batch_and_the_inferred_dimension() -> None:
    model = _flat_network((1, 3, 1, 1)).model("flat", _SHAPE)
    assert [node.name for node in model.graph.node] == ["add_0", "embedding"]
    assert [tensor.name for tensor in model.graph.initializer] == ["weight_0"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", *_SHAPE]
    assert session.get_outputs()[0].shape == ["batch", 12]
    (output,) = session.run(None, {"image": np.zeros((2, *_SHAPE), np.float32)})
    np.testing.assert_array_equal(output, np.ones((2, 12)))


def test_mismatched_shapes_are_rejected() -> None:
    with pytest.raises(InferenceError):
        _flat_network((1, 5, 1, 1)).model("flat", _SHAPE)
