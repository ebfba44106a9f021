"""Build the ONNX graph of an embedder, node by node."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper, shape_inference

_OPSET, _IR_VERSION = 13, 8


class GraphBuilder:
    """A graph with the input ``image`` and the output ``embedding``. Generated names are numbers in sequence."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeProto] = {}
        self._weights: list[TensorProto] = []

    def append(self, op: str, inputs: Sequence[str], output: str = "", /, **attributes: float | Sequence[int]) -> str:
        """Append a node and return the name of its only output, which is also the name of the node."""
        name = output or f"{op.lower()}_{len(self.nodes)}"
        node = self.nodes[name] = helper.make_node(op, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        return name

    def constant(self, values: NDArray[np.generic]) -> str:
        """Add a constant tensor and return its name."""
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def model(self, name: str, image_shape: Sequence[int]) -> ModelProto:
        """Return the model for images of the shape C x H x W; raise ``InferenceError`` if shapes do not match."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *image_shape])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", None])
        graph = helper.make_graph(list(self.nodes.values()), name, [image], [embedding], self._weights)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="compareface", ir_version=_IR_VERSION)
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        model.graph.output[0].CopyFrom(inferred.graph.output[0])  # with the dimension of the embedding
        checker.check_model(model, full_check=True)
        return model
