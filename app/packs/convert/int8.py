"""A float32 network and the ranges of its tensors -> the same network in 8-bit integers.

In: an ONNX graph, and for each tensor that is to be kept in 8 bits the values between which it lies. Out: a graph that
says so in pairs of ``QuantizeLinear`` and ``DequantizeLinear``, which onnxruntime's CPU provider turns into integer
operators (its page "Quantize ONNX models", format QDQ); the same input always gives the same bytes.

Tensors are unsigned, with a scale and a zero of their own, and end at their range: a rectifier costs nothing. Weights
are signed, with a scale for each output channel, and have 7 bits: CPUs without VNNI add two products in 16 bits, which
hold twice 255 * 64 and no more. So every CPU calculates the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Range: TypeAlias = tuple[float, float]
"""The lowest and the highest value; 0 lies between them."""

_TOP_LEVEL, _TOP_WEIGHT = 255, 63
_SHARES = np.linspace(0.5, 1, 26)
"""Of the scale that reaches the largest weight: what is tried."""
_KEEPS_VALUES = {"MaxPool", "Pad"}
"""Operators that give out what they are given, so that they work on the integers."""


def quantise(model: ModelProto, ranges: Mapping[str, Range]) -> ModelProto:
    """Return ``model`` with the tensors that ``ranges`` names, and the weights of its convolutions, in 8 bits."""
    graph = _Graph(model.graph, ranges)
    for node in model.graph.node:
        graph.add(node)
    quantised = helper.make_model(
        graph.finish(), opset_imports=model.opset_import, producer_name=model.producer_name, ir_version=model.ir_version
    )
    checker.check_model(quantised, full_check=True)
    return quantised


class _Grid(NamedTuple):
    """What an integer means: ``scale`` * (integer - ``zero``). ``name`` is that of the tensor it was made for."""

    name: str
    scale: np.float32
    zero: int

    @classmethod
    def over(cls, name: str, bounds: Range) -> _Grid:
        low, high = bounds
        scale = np.float32((high - low) / _TOP_LEVEL)
        return cls(name, scale, round(-low / float(scale)))


class _Graph:
    """The quantised graph so far. The tensor ``x`` is ``x_u8`` in integers, and ``x_dq`` is what these mean."""

    def __init__(self, source: GraphProto, ranges: Mapping[str, Range]) -> None:
        self._source = source
        self._ranges = ranges
        self._weights = {weight.name: numpy_helper.to_array(weight) for weight in source.initializer}
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._grids: dict[str, _Grid] = {}
        self._meant: set[str] = set()
        for value in source.input:
            self._quantise(value.name)

    def add(self, node: NodeProto) -> None:
        """Append ``node``, which is given integers or what they mean."""
        (output,) = node.output
        grid = self._grids.get(node.input[0])
        if grid and node.op_type in _KEEPS_VALUES:
            self._append(node, [f"{node.input[0]}_u8", *self._parameters(node, grid)], f"{output}_u8")
            self._grids[output] = grid
        elif grid and node.op_type == "Conv":
            self._append(node, [self._meaning(node.input[0]), *self._convolution(node, grid)], output)
            self._quantise(output)
        else:
            inputs = [self._keep(name) if name in self._weights else self._meaning(name) for name in node.input]
            self._append(node, inputs, output)
            self._quantise(output)

    def finish(self) -> GraphProto:
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
        """Rotation a tensor into integers, if its range is known."""
        if name not in self._ranges:
            return
        grid = self._grids[name] = _Grid.over(name, self._ranges[name])
        scale = self._constant(f"{name}_scale", np.array(grid.scale))
        zero = self._constant(f"{name}_zero", np.array(grid.zero, np.uint8))
        self._nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_u8"], name=f"{name}_u8"))

    def _meaning(self, name: str) -> str:
        """Return the name of a tensor that may have been turned into integers, as float32."""
        grid = self._grids.get(name)
        if grid is None:
            return name
        meaning = f"{name}_dq"
        if name not in self._meant:
            self._meant.add(name)
            inputs = [f"{name}_u8", f"{grid.name}_scale", f"{grid.name}_zero"]
            self._nodes.append(helper.make_node("DequantizeLinear", inputs, [meaning], name=meaning))
        return meaning

    def _parameters(self, node: NodeProto, grid: _Grid) -> list[str]:
        """Return what else a node on integers is given; padding is filled with the integer that means 0."""
        kept = [self._keep(name) for name in node.input[1:]]
        return [*kept, self._constant(f"{node.name}_fill", np.array(grid.zero, np.uint8))] if kept else kept

    def _convolution(self, node: NodeProto, grid: _Grid) -> list[str]:
        """Return the filters and the bias of a convolution in integers, as what these mean."""
        filters, bias = (self._weights[name] for name in node.input[1:])
        scales = closest_scales(filters)
        integers = _integers(filters.reshape(len(filters), -1), scales)
        of_bias = scales * grid.scale
        return [
            self._per_channel(node.input[1], integers.reshape(filters.shape).astype(np.int8), scales),
            self._per_channel(node.input[2], np.rint(bias / of_bias).astype(np.int32), of_bias),
        ]

    def _per_channel(self, name: str, integers: NDArray[np.signedinteger], scales: NDArray[np.float32]) -> str:
        meaning = f"{name}_dq"
        inputs = [
            self._constant(name, integers),
            self._constant(f"{name}_scale", scales),
            self._constant(f"{name}_zero", np.zeros(len(scales), integers.dtype)),
        ]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [meaning], name=meaning, axis=0))
        return meaning

    def _keep(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        self._constants[name] = numpy_helper.from_array(values, name)
        return name


def closest_scales(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each output channel the scale by which its weights change least (squares); the largest may be cut."""
    weights = filters.reshape(len(filters), -1)
    highest = np.abs(weights).max(axis=1) / np.float32(_TOP_WEIGHT)
    tried = np.outer(_SHARES.astype(np.float32), np.where(highest > 0, highest, np.float32(1)))
    errors = [np.square(_integers(weights, scales) * scales[:, None] - weights).sum(axis=1) for scales in tried]
    closest: NDArray[np.float32] = tried[np.argmin(errors, axis=0), np.arange(len(weights))]
    return closest


def _integers(weights: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float64]:
    integers: NDArray[np.float64] = np.rint(weights / scales[:, None], dtype=np.float64)
    return integers.clip(-_TOP_WEIGHT, _TOP_WEIGHT)
