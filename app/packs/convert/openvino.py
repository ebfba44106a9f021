"""OpenVINO's intermediate representation (``.xml`` + ``.bin``, versions 10 and 11) -> ONNX.

In: the bytes of both files. Out: the bytes of an ONNX file; the same input always gives the same bytes. Its input
``image`` is N x C x H x W, float32; its output ``embedding`` is N x D, float32, not of length 1.

The operations are those that Open Model Zoo's ``face-reidentification-retail-0095`` consists of, as the "Operation Set"
pages of OpenVINO's documentation define them; anything else is refused by name. An addition to a convolution becomes
its bias, half-precision weights become float32, and a PReLU of one slope becomes a LeakyRelu: onnxruntime computes
both within the convolution. Nothing else is changed: what scales the picture stays in the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper, shape_inference

from app.packs.manifest import PackError

_OPSET, _IR_VERSION = 13, 8
_VERSIONS = ("10", "11")
_ELEMENT_TYPES = {"f16": "<f2", "f32": "<f4"}
_RANK = 4  # N x C x H x W
_LIMIT = 2**31  # of every number

_Weights: TypeAlias = NDArray[np.float32]
_Value: TypeAlias = str | _Weights
"""What a layer gives: the name of a tensor of the graph, or a constant."""


def convert(xml: bytes, weights: bytes) -> bytes:
    """Translate the network; ``weights`` is the content of the ``.bin``."""
    layers = _read(xml)
    graph = _Graph(weights, uses=Counter(source for layer in layers for source in layer.inputs))
    for layer in layers:
        graph.add(layer)
    content: bytes = graph.model().SerializeToString(deterministic=True)
    return content


@dataclass(frozen=True, slots=True)
class _Layer:
    """``inputs`` are the ids of the layers it is given, in order; every layer here gives one tensor."""

    id: str
    op: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...]

    def numbers(self, key: str) -> list[int]:
        return _numbers(self.text(key).split(",")) if self.text(key).strip() else []

    def number(self, key: str) -> int:
        return _numbers([self.text(key)])[0]

    def text(self, key: str) -> str:
        if key not in self.attributes:
            raise PackError(f"the OpenVINO file is damaged: a layer {self.op} lacks {key}")
        return self.attributes[key]

    def require(self, expected: Mapping[str, str]) -> None:
        for key, value in expected.items():
            if self.text(key) != value:
                raise PackError(f"the OpenVINO file has a layer {self.op} with {key}={self.text(key)!r}")


def _read(xml: bytes) -> list[_Layer]:
    """Return the layers as they are listed, which is an order in which they can be computed."""
    try:
        text = xml.decode("utf-8")
        if "<!DOCTYPE" in text:  # nothing can be expanded without one
            raise PackError("the OpenVINO file has a document type, as no such file does")
        root = ET.fromstring(text)  # noqa: S314 - no document type, see above
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise PackError("the OpenVINO file is not valid XML") from error
    if root.tag != "net" or root.get("version") not in _VERSIONS:
        raise PackError(f"the file is not an OpenVINO network of version {' or '.join(_VERSIONS)}")
    sources = _sources(root.iterfind("edges/edge"))
    return [
        _Layer(
            id=number,
            op=f"{element.get('type')} ({element.get('version')})",
            attributes=dict(data.attrib) if (data := element.find("data")) is not None else {},
            inputs=tuple(source for _, source in sorted(sources.get(number, {}).items())),
        )
        for element in root.iterfind("layers/layer")
        for number in [element.get("id", "")]
    ]


def _sources(edges: Iterable[ET.Element]) -> dict[str, dict[int, str]]:
    """Layer -> its input port -> the layer that feeds it."""
    sources: dict[str, dict[int, str]] = {}
    for edge in edges:
        port = _numbers([edge.get("to-port", "")])[0]
        sources.setdefault(edge.get("to-layer", ""), {})[port] = edge.get("from-layer", "")
    return sources


def _numbers(texts: Sequence[str]) -> list[int]:
    try:
        numbers = [int(text) for text in texts]
    except ValueError as error:
        raise PackError("the OpenVINO file is damaged: it has a text in place of a number") from error
    if not all(0 <= number < _LIMIT for number in numbers):
        raise PackError("the OpenVINO file is damaged: it has a number out of range")
    return numbers


class _Graph:
    """The graph so far, and what each layer gives."""

    def __init__(self, content: bytes, uses: Mapping[str, int]) -> None:
        self._content = content
        self._uses = uses
        self._values: dict[str, _Value] = {}
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._without_bias: dict[str, tuple[NodeProto, int]] = {}  # convolutions and their numbers of channels
        self._shape: list[int] = []  # of the picture
        self._ended = False

    def add(self, layer: _Layer) -> None:
        operation = _OPERATIONS.get(layer.op)
        if operation is None:
            raise PackError(f"the OpenVINO file has the operation {layer.op}, which is not supported")
        count, translate = operation
        if len(layer.inputs) != count or any(source not in self._values for source in layer.inputs):
            raise PackError(f"the OpenVINO file is damaged: a layer {layer.op} is not given what it needs")
        self._values[layer.id] = translate(self, layer, [self._values[source] for source in layer.inputs])

    def model(self) -> ModelProto:
        if not self._ended:
            raise PackError("the OpenVINO file is damaged: it has no result")
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *self._shape[1:]])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", None])
        graph = helper.make_graph(self._nodes, "openvino", [image], [embedding], self._weights)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="compareface")
        model.ir_version = _IR_VERSION
        try:
            inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
            model.graph.output[0].CopyFrom(inferred.graph.output[0])  # now with D
            checker.check_model(model, full_check=True)
        except (checker.ValidationError, shape_inference.InferenceError) as error:
            raise PackError("the OpenVINO file is damaged: its layers do not fit together") from error
        return model

    def parameter(self, layer: _Layer, _: list[_Value]) -> _Value:
        layer.require({"element_type": "f32"})
        if self._shape or len(layer.numbers("shape")) != _RANK:
            raise PackError("the OpenVINO file has another input than one picture")
        self._shape = layer.numbers("shape")
        return "image"

    def constant(self, layer: _Layer, _: list[_Value]) -> _Value:
        element_type = _ELEMENT_TYPES.get(layer.text("element_type"))
        if element_type is None:
            raise PackError(f"the OpenVINO file has weights of the type {layer.text('element_type')}")
        shape, start, size = layer.numbers("shape"), layer.number("offset"), layer.number("size")
        if size != prod(shape) * np.dtype(element_type).itemsize or start + size > len(self._content):
            raise PackError("the OpenVINO file is damaged: weights are not where they should be")
        values = np.frombuffer(self._content[start : start + size], element_type)
        return values.astype(np.float32).reshape(shape)

    def convert(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"destination_type": "f32"})
        if isinstance(inputs[0], str):
            raise PackError(f"the OpenVINO file has a layer {layer.op} of something else than weights")
        return inputs[0]

    def convolution(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        filters = self._constant(layer, inputs[1], _RANK)
        return self._convolve(layer, inputs[0], filters, 1)

    def group_convolution(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        """Of filters that are group x outputs x inputs x H x W; ONNX joins the first two."""
        filters = self._constant(layer, inputs[1], _RANK + 1)
        group, count, *rest = filters.shape
        return self._convolve(layer, inputs[0], filters.reshape(group * count, *rest), group)

    def _convolve(self, layer: _Layer, value: _Value, filters: _Weights, group: int) -> _Value:
        layer.require({"auto_pad": "explicit"})
        name = self._append(
            "Conv",
            [value, filters],
            dilations=layer.numbers("dilations"),
            group=group,
            kernel_shape=filters.shape[2:],
            pads=layer.numbers("pads_begin") + layer.numbers("pads_end"),
            strides=layer.numbers("strides"),
        )
        if self._uses[layer.id] == 1:
            self._without_bias[name] = (self._nodes[-1], filters.shape[0])
        return name

    def plus(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_broadcast": "numpy"})
        value, addend = inputs
        if isinstance(value, str) and not isinstance(addend, str) and value in self._without_bias:
            node, channels = self._without_bias[value]
            if addend.shape == (1, channels, 1, 1):
                del self._without_bias[value]
                node.input.append(self._name(addend.reshape(channels)))
                return value
        return self._append("Add", inputs)

    def multiply(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_broadcast": "numpy"})
        return self._append("Mul", inputs)

    def prelu(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        slope = self._constant(layer, inputs[1], 1)
        if slope.size != 1:
            raise PackError(f"the OpenVINO file has a layer {layer.op} with several slopes")
        return self._append("LeakyRelu", [inputs[0]], alpha=slope.item())

    def average(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_pad": "explicit", "rounding_type": "floor", "exclude-pad": "true"})
        return self._append(
            "AveragePool",
            [inputs[0]],
            kernel_shape=layer.numbers("kernel"),
            pads=layer.numbers("pads_begin") + layer.numbers("pads_end"),
            strides=layer.numbers("strides"),
        )

    def sigmoid(self, _: _Layer, inputs: list[_Value]) -> _Value:
        return self._append("Sigmoid", inputs)

    def result(self, _: _Layer, inputs: list[_Value]) -> _Value:
        if self._ended:
            raise PackError("the OpenVINO file has more than one result")
        self._ended = True
        return self._append("Flatten", inputs, "embedding")

    def _constant(self, layer: _Layer, value: _Value, rank: int) -> _Weights:
        if isinstance(value, str) or value.ndim != rank:
            raise PackError(f"the OpenVINO file has a layer {layer.op} without weights of {rank} dimensions")
        return value

    def _append(self, op: str, inputs: list[_Value], name: str = "", **attributes: float | Sequence[int]) -> str:
        name = name or f"{op.lower()}_{len(self._nodes)}"
        node = helper.make_node(op, [self._name(value) for value in inputs], [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return name

    def _name(self, value: _Value) -> str:
        if isinstance(value, str):
            return value
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(value, name))
        return name


_OPERATIONS: Mapping[str, tuple[int, Callable[[_Graph, _Layer, list[_Value]], _Value]]] = {
    "Parameter (opset1)": (0, _Graph.parameter),
    "Const (opset1)": (0, _Graph.constant),
    "Convert (opset1)": (1, _Graph.convert),
    "Convolution (opset1)": (2, _Graph.convolution),
    "GroupConvolution (opset1)": (2, _Graph.group_convolution),
    "Add (opset1)": (2, _Graph.plus),
    "Multiply (opset1)": (2, _Graph.multiply),
    "PReLU (opset1)": (2, _Graph.prelu),
    "AvgPool (opset1)": (1, _Graph.average),
    "Sigmoid (opset1)": (1, _Graph.sigmoid),
    "Result (opset1)": (1, _Graph.result),
}
"""Operation -> how many inputs it takes, and its translation."""
