"""Give the channels of a network similar ranges, so that one int8 scale fits all channels of a tensor.

A positive factor passes through a LeakyRelu. So a channel can be multiplied by a factor in the convolution that
writes it and divided by it in the convolutions that read it ("cross-layer equalisation"; Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", 2019). Powers of two leave float32 results unchanged.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

_COMMUTING_OPS = {"Add", "AveragePool", "LeakyRelu", "Mul"}
"""Operators whose output has the factors of their first input."""


def equalise(model: ModelProto, exponents: Mapping[str, NDArray[np.int_]]) -> None:
    """Multiply channel c of the convolution output ``name`` by 2 ** ``exponents[name][c]``, in place.

    Tensors that are added need equal exponents.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    factors_of: dict[str, NDArray[np.float32]] = {}  # by tensor
    for node in model.graph.node:
        source, output = node.input[0], node.output[0]
        if node.op_type == "Conv":
            filters = numpy_helper.to_array(weights[node.input[1]])
            if source in factors_of:
                is_depthwise = filters.shape[1] == 1
                filters = filters / factors_of[source][(slice(None), *([None] * (3 if is_depthwise else 2)))]
            if output in exponents:
                factors = factors_of[output] = np.exp2(exponents[output]).astype(np.float32)
                filters = filters * factors[:, None, None, None]
                bias = numpy_helper.to_array(weights[node.input[2]]) * factors
                weights[node.input[2]].CopyFrom(numpy_helper.from_array(bias, node.input[2]))
            weights[node.input[1]].CopyFrom(numpy_helper.from_array(filters, node.input[1]))
        elif node.op_type in _COMMUTING_OPS and source in factors_of:
            factors_of[output] = factors_of[source]
