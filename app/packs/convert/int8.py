"""Quantise a float32 ONNX network to int8, with given ranges of its tensors.

The result contains pairs of ``QuantizeLinear`` and ``DequantizeLinear`` (the QDQ format in onnxruntime's page "Quantize
ONNX models"), which onnxruntime's CPU provider fuses into integer operators.

Activations are uint8 with a scale and a zero point each and saturate at their range, which makes a ReLU free. Weights
are symmetric with a scale per output channel, and limited to -63...63. CPUs without VNNI add two products in 16 bits,
which larger weights would overflow. With this limit, all CPUs compute the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    graph = _Graph(model.graph, ranges)
    for node in model.graph.node:
        graph.add(node)
    quantised = helper.make_model(
        graph.finish(), opset_imports=model.opset_import, producer_name=model.producer_name, ir_version=model.ir_version
    )
    checker.check_model(quantised, full_check=True)
    return quantised


class QuantizationParams(NamedTuple):
    """Maps integers to values: ``scale`` * (integer - ``zero_point``). ``name`` is the tensor they were made for."""

    name: str
    scale: np.float32
    zero_point: int

    @classmethod
    def from_range(cls, name: str, bounds: Range) -> QuantizationParams:
        """Return the parameters that spread the uint8 values over a range."""
        low, high = bounds
        scale = np.float32((high - low) / _MAX_UINT8)
        return cls(name, scale, round(-low / float(scale)))


class _Graph:
    """The quantised graph built so far. Tensor ``x`` has the integers ``x_u8`` and the dequantised values ``x_dq``."""

    def __init__(self, source: GraphProto, ranges: Mapping[str, Range]) -> None:
        self._source = source
        self._ranges = ranges
        self._weights = {weight.name: numpy_helper.to_array(weight) for weight in source.initializer}
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._params: dict[str, QuantizationParams] = {}
        self._dequantised_names: set[str] = set()
        for value in source.input:
            self._quantise(value.name)

    def add(self, node: NodeProto) -> None:
        """Append ``node`` with integer or dequantised inputs, and quantise its output."""
        (output,) = node.output
        params = self._params.get(node.input[0])
        if params and node.op_type in _VALUE_PRESERVING_OPS:
            self._append(node, [f"{node.input[0]}_u8", *self._further_inputs(node, params)], f"{output}_u8")
            self._params[output] = params
        elif params and node.op_type == "Conv":
            self._append(node, [self._dequantised(node.input[0]), *self._filters_and_bias(node, params)], output)
            self._quantise(output)
        else:
            inputs = [self._copied(name) if name in self._weights else self._dequantised(name) for name in node.input]
            self._append(node, inputs, output)
            self._quantise(output)

    def finish(self) -> GraphProto:
        """Return the complete graph."""
        return helper.make_graph(
            self._nodes, self._source.name, self._source.input, self._source.output, list(self._constants.values())
        )

    def _append(self, node: NodeProto, inputs: list[str], output: str) -> None:
        copy = NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        copy.input.extend(inputs)
        copy.output.append(output)
        self._nodes.append(copy)

    def _quantise(self, name: str) -> None:
        """Append the node that quantises a tensor, if its range is known."""
        if name not in self._ranges:
            return
        params = self._params[name] = QuantizationParams.from_range(name, self._ranges[name])
        scale = self._constant(f"{name}_scale", np.array(params.scale))
        zero = self._constant(f"{name}_zero", np.array(params.zero_point, np.uint8))
        self._nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_u8"], name=f"{name}_u8"))

    def _dequantised(self, name: str) -> str:
        """Return the name of the float32 version of a tensor, whether it is quantised or not."""
        params = self._params.get(name)
        if params is None:
            return name
        dequantised = f"{name}_dq"
        if name not in self._dequantised_names:
            self._dequantised_names.add(name)
            inputs = [f"{name}_u8", f"{params.name}_scale", f"{params.name}_zero"]
            self._nodes.append(helper.make_node("DequantizeLinear", inputs, [dequantised], name=dequantised))
        return dequantised

    def _further_inputs(self, node: NodeProto, params: QuantizationParams) -> list[str]:
        """Return the inputs of a node on integers after the first; ``Pad`` fills with the zero point."""
        copied = [self._copied(name) for name in node.input[1:]]
        return [*copied, self._constant(f"{node.name}_fill", np.array(params.zero_point, np.uint8))] if copied else []

    def _filters_and_bias(self, node: NodeProto, params: QuantizationParams) -> list[str]:
        """Return the names of a convolution's dequantised filters and bias."""
        filters, bias = (self._weights[name] for name in node.input[1:])
        scales = closest_scales(filters)
        integers = _integers(filters.reshape(len(filters), -1), scales)
        bias_scales = scales * params.scale
        return [
            self._per_channel(node.input[1], integers.reshape(filters.shape).astype(np.int8), scales),
            self._per_channel(node.input[2], np.rint(bias / bias_scales).astype(np.int32), bias_scales),
        ]

    def _per_channel(self, name: str, integers: NDArray[np.signedinteger], scales: NDArray[np.float32]) -> str:
        """Return the name of weights that are stored as integers with a scale per output channel."""
        dequantised = f"{name}_dq"
        inputs = [
            self._constant(name, integers),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero", np.zeros(len(scales), integers.dtype)),
        ]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [dequantised], name=dequantised, axis=0))
        return dequantised

    def _copied(self, name: str) -> str:
        return self._constant(name, self._weights[name])

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
