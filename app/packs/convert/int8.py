"""Quantise a float32 ONNX network to int8, with given ranges of its tensors.

The result contains pairs of ``QuantizeLinear`` and ``DequantizeLinear`` (the QDQ format in onnxruntime's page "Quantize
ONNX models"), which onnxruntime's CPU provider fuses into integer operators.

Activations are uint8 with a scale and a zero point each and saturate at their range, which makes a ReLU free. Weights
are symmetric with a scale per output channel, and limited to -63...63. CPUs without VNNI add two products in 16 bits,
which larger weights would overflow. With this limit, all CPUs compute the same result.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Range: TypeAlias = tuple[float, float]
"""The lowest and the highest value; 0 lies between them."""

_MAX_UINT8, _MAX_WEIGHT = 255, 63
_SCALE_FRACTIONS = np.linspace(0.5, 1, 26)
"""Candidates for a weight scale, as fractions of the scale at which the largest weight does not saturate."""
_VALUE_PRESERVING_OPS = {"MaxPool", "Pad"}
"""Operators that do not change values, so that they can work on the integers."""


def quantise(model: ModelProto, ranges: Mapping[str, Range]) -> ModelProto:
    """Return the model with int8 convolution weights and with the tensors named in ``ranges`` quantised to uint8."""
    quantised = ModelProto()
    quantised.CopyFrom(model)
    quantised.graph.CopyFrom(_Graph(model.graph, ranges).quantised())
    checker.check_model(quantised, full_check=True)
    return quantised


class QuantizationParams(NamedTuple):
    """Maps integers to values: ``scale`` * (integer - ``zero_point``). ``name`` is the tensor they were made for."""

    name: str
    scale: np.float32
    zero_point: int


class _Graph:
    """The quantised graph built so far. Tensor ``x`` has the integers ``x_u8`` and the dequantised values ``x_dq``."""

    def __init__(self, source: GraphProto, ranges: Mapping[str, Range]) -> None:
        self._source = source
        self._ranges = ranges
        self._weights = {weight.name: numpy_helper.to_array(weight) for weight in source.initializer}
        self._nodes: dict[str, NodeProto] = {}  # by output; a node that is added twice keeps its first position
        self._constants: dict[str, TensorProto] = {}
        self._params: dict[str, QuantizationParams] = {}

    def quantised(self) -> GraphProto:
        for value in self._source.input:
            self._quantise(value.name)
        for node in self._source.node:
            self._add(node)
        nodes, constants = list(self._nodes.values()), list(self._constants.values())
        return helper.make_graph(nodes, self._source.name, self._source.input, self._source.output, constants)

    def _add(self, node: NodeProto) -> None:
        """Append ``node`` with integer or dequantised inputs, and quantise its output."""
        (output,) = node.output
        params = self._params.get(node.input[0])
        if params and node.op_type in _VALUE_PRESERVING_OPS:
            self._copy(node, [f"{node.input[0]}_u8", *self._further_inputs(node, params)], f"{output}_u8")
            self._params[output] = params
            return
        if params and node.op_type == "LeakyRelu" and output in self._ranges:
            self._add_leaky_relu(node, params)
            return
        if params and node.op_type == "Conv":
            inputs = [self._float32(node.input[0]), *self._filters_and_bias(node, params)]
        else:
            inputs = [self._float32(name) for name in node.input]
        self._copy(node, inputs, output)
        self._quantise(output)

    def _add_leaky_relu(self, node: NodeProto, params: QuantizationParams) -> None:
        """Append slope * x + (1 - slope) * max(x, 0), which onnxruntime computes in half the time of a LeakyRelu.

        The factors become scales of ``DequantizeLinear`` and can be negative.
        """
        (output,), (slope,) = node.output, node.attribute
        integers, zero = f"{node.input[0]}_u8", f"{params.name}_zero"
        maximum = self._append("Max", [integers, zero], f"{output}_max")
        addends = []
        for name, tensor, factor in (("slope", integers, slope.f), ("max", maximum, 1 - slope.f)):
            scale = self._constant(f"{output}_{name}_scale", np.array(np.float32(factor) * params.scale))
            addends.append(self._append("DequantizeLinear", [tensor, scale, zero], f"{output}_{name}_dq"))
        self._append("Add", addends, output)
        self._quantise(output)

    def _copy(self, node: NodeProto, inputs: Sequence[str], output: str) -> None:
        copy = self._nodes[output] = helper.make_node(node.op_type, inputs, [output], name=node.name)
        copy.attribute.extend(node.attribute)

    def _append(self, op: str, inputs: Sequence[str], output: str, axis: int | None = None) -> str:
        self._nodes[output] = helper.make_node(op, inputs, [output], name=output, axis=axis)
        return output

    def _quantise(self, name: str) -> None:
        """Append the node that quantises a tensor, if its range is known."""
        if name not in self._ranges:
            return
        low, high = self._ranges[name]
        scale = np.float32((high - low) / _MAX_UINT8)
        params = self._params[name] = QuantizationParams(name, scale, round(-low / float(scale)))
        constants = [
            self._constant(f"{name}_scale", np.array(params.scale)),
            self._constant(f"{name}_zero", np.array(params.zero_point, np.uint8)),
        ]
        self._append("QuantizeLinear", [name, *constants], f"{name}_u8")

    def _float32(self, name: str) -> str:
        """Return the name of the float32 version of a tensor, whether it is a constant, quantised, or neither."""
        if name in self._weights:
            return self._constant(name, self._weights[name])
        if name not in self._params:
            return name
        origin = self._params[name].name
        return self._append("DequantizeLinear", [f"{name}_u8", f"{origin}_scale", f"{origin}_zero"], f"{name}_dq")

    def _further_inputs(self, node: NodeProto, params: QuantizationParams) -> list[str]:
        """Return the inputs of a node on integers after the first; ``Pad`` fills with the zero point."""
        constants = [self._float32(name) for name in node.input[1:]]
        fill = np.array(params.zero_point, np.uint8)
        return [*constants, self._constant(f"{node.name}_fill", fill)] if constants else []

    def _filters_and_bias(self, node: NodeProto, params: QuantizationParams) -> list[str]:
        """Return the names of a convolution's dequantised filters and bias."""
        filters, bias = (self._weights[name] for name in node.input[1:])
        scales = closest_scales(filters)
        integers = _integers(filters.reshape(len(filters), -1), scales).reshape(filters.shape)
        bias_scales = scales * params.scale
        return [
            self._per_channel(node.input[1], integers.astype(np.int8), scales),
            self._per_channel(node.input[2], np.rint(bias / bias_scales).astype(np.int32), bias_scales),
        ]

    def _per_channel(self, name: str, integers: NDArray[np.signedinteger], scales: NDArray[np.float32]) -> str:
        """Return the name of weights that are stored as integers with a scale per output channel."""
        inputs = [
            self._constant(name, integers),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero", np.zeros(len(scales), integers.dtype)),
        ]
        return self._append("DequantizeLinear", inputs, f"{name}_dq", axis=0)

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        self._constants[name] = numpy_helper.from_array(values, name)
        return name


def closest_scales(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scale per output channel with the least squared quantisation error; the largest weights may saturate.

    ``filters`` is K x C x H x W, the result K.
    """
    weights = filters.reshape(len(filters), -1)
    max_scales = np.abs(weights).max(axis=1) / np.float32(_MAX_WEIGHT)
    candidates = np.outer(_SCALE_FRACTIONS.astype(np.float32), np.where(max_scales > 0, max_scales, np.float32(1)))
    errors = [np.square(_integers(weights, scales) * scales[:, None] - weights).sum(axis=1) for scales in candidates]
    closest: NDArray[np.float32] = candidates[np.argmin(errors, axis=0), np.arange(len(weights))]
    return closest


def _integers(weights: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the quantised weights, still as floats."""
    integers: NDArray[np.float64] = np.rint(weights / scales[:, None], dtype=np.float64)
    return integers.clip(-_MAX_WEIGHT, _MAX_WEIGHT)
