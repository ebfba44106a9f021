"""Convert OpenVINO's intermediate representation (``.xml`` and ``.bin``, versions 10 and 11) to ONNX.

Input ``image``: N x C x H x W, float32. Output ``embedding``: N x D, float32, not normalised.

The converter supports the operations of Open Model Zoo's ``face-reidentification-retail-0095``, as defined in the
"Operation Set" pages of OpenVINO's documentation. Other operations raise :class:`PackError`. Float16 weights become
float32. An addition to a convolution becomes its bias, and a PReLU with one slope becomes a LeakyRelu, so that
onnxruntime can fuse both into the convolution. The scaling of the input image stays in the graph.
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
from onnx import ModelProto, NodeProto, checker, shape_inference

from app.packs.convert.graph_builder import GraphBuilder
from app.packs.manifest import PackError

_VERSIONS = ("10", "11")
_ELEMENT_TYPES = {"f16": "<f2", "f32": "<f4"}
_RANK = 4  # N x C x H x W
_NUMBER_LIMIT = 2**31

_Weights: TypeAlias = NDArray[np.float32]
_Value: TypeAlias = str | _Weights
"""Output of a layer: the name of a tensor of the graph, or a constant."""


def convert(xml: bytes, weights: bytes) -> bytes:
    """Return the ONNX file of the network in the bytes of an ``.xml`` and a ``.bin`` file."""
    layers = _parsed_layers(xml)
    network = _Network(weights, uses=Counter(source for layer in layers for source in layer.inputs))
    for layer in layers:
        network.add(layer)
    content: bytes = network.model().SerializeToString(deterministic=True)
    return content


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer with one output tensor; ``inputs`` are the ids of the layers that feed it, in the order of its ports."""

    id: str
    op: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...]

    def numbers(self, key: str) -> list[int]:
        """Return a comma-separated attribute."""
        return _numbers(self.text(key).split(",")) if self.text(key).strip() else []

    def number(self, key: str) -> int:
        return _numbers([self.text(key)])[0]

    def text(self, key: str) -> str:
        if key not in self.attributes:
            raise PackError(f"the OpenVINO file is damaged: a layer {self.op} has no {key}")
        return self.attributes[key]

    def require(self, expected: Mapping[str, str]) -> None:
        """Raise :class:`PackError` unless the attributes have these values."""
        for key, value in expected.items():
            if self.text(key) != value:
                raise PackError(f"the OpenVINO file has an unsupported {self.op} with {key}={self.text(key)!r}")


def _parsed_layers(xml: bytes) -> list[_Layer]:
    """Return the layers in the order of the file, in which every layer follows its inputs."""
    try:
        text = xml.decode("utf-8")
        if "<!DOCTYPE" in text:  # required for entity expansion attacks
            raise PackError("the OpenVINO file has a document type, which OpenVINO files never have")
        root = ET.fromstring(text)  # noqa: S314 - entities need a document type
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
    """Return for each layer the source layer of each input port."""
    sources: dict[str, dict[int, str]] = {}
    for edge in edges:
        port = _numbers([edge.get("to-port", "")])[0]
        sources.setdefault(edge.get("to-layer", ""), {})[port] = edge.get("from-layer", "")
    return sources


def _numbers(texts: Sequence[str]) -> list[int]:
    try:
        numbers = [int(text) for text in texts]
    except ValueError as error:
        raise PackError("the OpenVINO file is damaged: a value is not a number") from error
    if not all(0 <= number < _NUMBER_LIMIT for number in numbers):
        raise PackError("the OpenVINO file is damaged: a number is out of range")
    return numbers


class _Network:
    """The network built so far.

    ``content`` is the ``.bin`` file; ``uses`` counts the layers that each layer feeds.
    """

    def __init__(self, content: bytes, uses: Mapping[str, int]) -> None:
        self._content = content
        self._uses = uses
        self._values: dict[str, _Value] = {}
        self._builder = GraphBuilder()
        self._without_bias: dict[str, tuple[NodeProto, int]] = {}  # convolutions and their numbers of channels
        self._image_shape: list[int] = []
        self._has_result = False

    def add(self, layer: _Layer) -> None:
        """Append a layer."""
        operation = _OPERATIONS.get(layer.op)
        if operation is None:
            raise PackError(f"the OpenVINO file has the operation {layer.op}, which is not supported")
        count, translate = operation
        if len(layer.inputs) != count or any(source not in self._values for source in layer.inputs):
            raise PackError(f"the OpenVINO file is damaged: a layer {layer.op} has missing or surplus inputs")
        self._values[layer.id] = translate(self, layer, [self._values[source] for source in layer.inputs])

    def model(self) -> ModelProto:
        """Return the model of all layers."""
        if not self._has_result:
            raise PackError("the OpenVINO file is damaged: it has no result")
        try:
            return self._builder.model("openvino", self._image_shape[1:])
        except (checker.ValidationError, shape_inference.InferenceError) as error:
            raise PackError("the OpenVINO file is damaged: the shapes of its layers do not match") from error

    def parameter(self, layer: _Layer, _: list[_Value]) -> _Value:
        layer.require({"element_type": "f32"})
        if self._image_shape or len(layer.numbers("shape")) != _RANK:
            raise PackError("the OpenVINO file does not have exactly one image as input")
        self._image_shape = layer.numbers("shape")
        return "image"

    def constant(self, layer: _Layer, _: list[_Value]) -> _Value:
        element_type = _ELEMENT_TYPES.get(layer.text("element_type"))
        if element_type is None:
            raise PackError(f"the OpenVINO file has weights of the unsupported type {layer.text('element_type')}")
        shape, start, size = layer.numbers("shape"), layer.number("offset"), layer.number("size")
        if size != prod(shape) * np.dtype(element_type).itemsize or start + size > len(self._content):
            raise PackError("the OpenVINO file is damaged: the position or size of weights is invalid")
        values = np.frombuffer(self._content[start : start + size], element_type)
        return values.astype(np.float32).reshape(shape)

    def convert(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"destination_type": "f32"})
        if isinstance(inputs[0], str):
            raise PackError(f"the OpenVINO file has a layer {layer.op} that does not convert weights")
        return inputs[0]

    def convolution(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        filters = self._weights_of_rank(layer, inputs[1], _RANK)
        return self._add_convolution(layer, inputs[0], filters, 1)

    def group_convolution(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        """Append a convolution whose filters are groups x outputs x inputs x H x W; ONNX joins the first two axes."""
        filters = self._weights_of_rank(layer, inputs[1], _RANK + 1)
        group, count, *rest = filters.shape
        return self._add_convolution(layer, inputs[0], filters.reshape(group * count, *rest), group)

    def _add_convolution(self, layer: _Layer, value: _Value, filters: _Weights, group: int) -> _Value:
        layer.require({"auto_pad": "explicit"})
        node = self._append(
            "Conv",
            [value, filters],
            dilations=layer.numbers("dilations"),
            group=group,
            kernel_shape=filters.shape[2:],
            pads=layer.numbers("pads_begin") + layer.numbers("pads_end"),
            strides=layer.numbers("strides"),
        )
        if self._uses[layer.id] == 1:
            self._without_bias[node.name] = (node, filters.shape[0])
        return node.name

    def addition(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_broadcast": "numpy"})
        value, addend = inputs
        if isinstance(value, str) and not isinstance(addend, str) and value in self._without_bias:
            node, channels = self._without_bias[value]
            if addend.shape == (1, channels, 1, 1):
                del self._without_bias[value]
                node.input.append(self._tensor_name(addend.reshape(channels)))
                return value
        return self._append("Add", inputs).name

    def multiplication(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_broadcast": "numpy"})
        return self._append("Mul", inputs).name

    def prelu(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        slope = self._weights_of_rank(layer, inputs[1], 1)
        if slope.size != 1:
            raise PackError(f"the OpenVINO file has a layer {layer.op} with several slopes")
        return self._append("LeakyRelu", [inputs[0]], alpha=slope.item()).name

    def average_pool(self, layer: _Layer, inputs: list[_Value]) -> _Value:
        layer.require({"auto_pad": "explicit", "rounding_type": "floor", "exclude-pad": "true"})
        return self._append(
            "AveragePool",
            [inputs[0]],
            kernel_shape=layer.numbers("kernel"),
            pads=layer.numbers("pads_begin") + layer.numbers("pads_end"),
            strides=layer.numbers("strides"),
        ).name

    def sigmoid(self, _: _Layer, inputs: list[_Value]) -> _Value:
        return self._append("Sigmoid", inputs).name

    def result(self, _: _Layer, inputs: list[_Value]) -> _Value:
        if self._has_result:
            raise PackError("the OpenVINO file has more than one result")
        self._has_result = True
        return self._append("Flatten", inputs, "embedding").name

    def _weights_of_rank(self, layer: _Layer, value: _Value, rank: int) -> _Weights:
        if isinstance(value, str) or value.ndim != rank:
            raise PackError(f"the OpenVINO file has a layer {layer.op} without weights of {rank} dimensions")
        return value

    def _append(self, op: str, inputs: list[_Value], name: str = "", **attributes: float | Sequence[int]) -> NodeProto:
        return self._builder.append(op, [self._tensor_name(value) for value in inputs], name, **attributes)

    def _tensor_name(self, value: _Value) -> str:
        return value if isinstance(value, str) else self._builder.constant(value)


_OPERATIONS: Mapping[str, tuple[int, Callable[[_Network, _Layer, list[_Value]], _Value]]] = {
    "Parameter (opset1)": (0, _Network.parameter),
    "Const (opset1)": (0, _Network.constant),
    "Convert (opset1)": (1, _Network.convert),
    "Convolution (opset1)": (2, _Network.convolution),
    "GroupConvolution (opset1)": (2, _Network.group_convolution),
    "Add (opset1)": (2, _Network.addition),
    "Multiply (opset1)": (2, _Network.multiplication),
    "PReLU (opset1)": (2, _Network.prelu),
    "AvgPool (opset1)": (1, _Network.average_pool),
    "Sigmoid (opset1)": (1, _Network.sigmoid),
    "Result (opset1)": (1, _Network.result),
}
"""Number of inputs and translation of every supported operation."""
