"""Convert OpenVINO's intermediate representation (``.xml`` and ``.bin``, versions 10 and 11) to ONNX.

Input ``image``: N x C x H x W, float32. Output ``embedding``: N x D, float32, not normalised.

The converter supports the operations of Open Model Zoo's ``face-reidentification-retail-0095``, as defined in the
"Operation Set" pages of OpenVINO's documentation. Other operations raise :class:`PackError`. Float16 weights become
float32. An addition to a convolution becomes its bias, and a PReLU with one slope becomes a LeakyRelu.
onnxruntime can fuse both into the convolution. The scaling of the input image stays in the graph.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, checker, shape_inference

from app.packs.convert.graph_builder import GraphBuilder
from app.packs.manifest import PackError

_VERSIONS = ("10", "11")
_ELEMENT_TYPES = {"f16": "<f2", "f32": "<f4"}
_RANK = 4  # N x C x H x W
_NUMBER_LIMIT = 2**31
_OUTPUT = "embedding"

_Weights: TypeAlias = NDArray[np.float32]
_Value: TypeAlias = str | _Weights
"""Output of a layer: the name of a tensor of the graph, or a constant."""


def convert(xml: bytes, weights: bytes) -> bytes:
    """Return the ONNX file of the network in the bytes of an ``.xml`` and a ``.bin`` file."""
    layers = _parsed_layers(xml)
    network = _Network(weights, uses=Counter(source for layer in layers for source in layer.inputs))
    for layer in layers:
        network.add(layer)
    return bytes(network.model().SerializeToString(deterministic=True))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer with one output tensor; ``inputs`` are the ids of the layers that feed it, in the order of its ports."""

    id: str
    op: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...]

    def attribute(self, key: str) -> str:
        if key not in self.attributes:
            raise PackError(f"the OpenVINO file is damaged: a layer {self.op} has no {key}")
        return self.attributes[key]

    def number(self, key: str) -> int:
        return _number(self.attribute(key))

    def numbers(self, key: str) -> list[int]:
        """Return a comma-separated attribute."""
        return [_number(text) for text in self.attribute(key).split(",")] if self.attribute(key).strip() else []

    def window(self) -> dict[str, list[int]]:
        """Return the ONNX attributes that convolutions and pools share."""
        return {"pads": self.numbers("pads_begin") + self.numbers("pads_end"), "strides": self.numbers("strides")}


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise PackError("the OpenVINO file is damaged: a value is not a number") from error
    if not 0 <= number < _NUMBER_LIMIT:
        raise PackError("the OpenVINO file is damaged: a number is out of range")
    return number


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
    sources: dict[str, dict[int, str]] = defaultdict(dict)  # of each layer, by input port
    for edge in root.iterfind("edges/edge"):
        sources[edge.get("to-layer", "")][_number(edge.get("to-port", ""))] = edge.get("from-layer", "")
    layers = []
    for element in root.iterfind("layers/layer"):
        number, data = element.get("id", ""), element.find("data")
        inputs = tuple(source for _, source in sorted(sources[number].items()))
        op = f"{element.get('type')} ({element.get('version')})"
        layers.append(_Layer(number, op, {} if data is None else data.attrib, inputs))
    return layers


class _Network:
    """The network built so far.

    ``content`` is the ``.bin`` file; ``uses`` counts the layers that each layer feeds.
    """

    def __init__(self, content: bytes, uses: Mapping[str, int]) -> None:
        self._content = content
        self._uses = uses
        self._values: dict[str, _Value] = {}
        self._builder = GraphBuilder()
        self._channels_without_bias: dict[str, int] = {}  # number of output channels of each convolution without bias
        self._image_shape: list[int] = []

    def add(self, layer: _Layer) -> None:
        if layer.op not in _OPERATIONS:
            raise PackError(f"the OpenVINO file has the operation {layer.op}, which is not supported")
        count, required, translate = _OPERATIONS[layer.op]
        if len(layer.inputs) != count or any(source not in self._values for source in layer.inputs):
            raise PackError(f"the OpenVINO file is damaged: a layer {layer.op} has missing or surplus inputs")
        for key, value in required.items():
            if layer.attribute(key) != value:
                raise PackError(f"the OpenVINO file has an unsupported {layer.op} with {key}={layer.attribute(key)!r}")
        self._values[layer.id] = translate(self, layer, *(self._values[source] for source in layer.inputs))

    def model(self) -> ModelProto:
        if _OUTPUT not in self._builder.nodes:
            raise PackError("the OpenVINO file is damaged: it has no result")
        try:
            return self._builder.model("openvino", self._image_shape[1:])
        except (checker.ValidationError, shape_inference.InferenceError) as error:
            raise PackError("the OpenVINO file is damaged: the shapes of its layers do not match") from error

    def parameter(self, layer: _Layer) -> _Value:
        if self._image_shape or len(layer.numbers("shape")) != _RANK:
            raise PackError("the OpenVINO file does not have exactly one image as input")
        self._image_shape = layer.numbers("shape")
        return "image"

    def constant(self, layer: _Layer) -> _Value:
        element_type = _ELEMENT_TYPES.get(layer.attribute("element_type"))
        if element_type is None:
            raise PackError(f"the OpenVINO file has weights of the unsupported type {layer.attribute('element_type')}")
        shape, start, size = layer.numbers("shape"), layer.number("offset"), layer.number("size")
        if size != prod(shape) * np.dtype(element_type).itemsize or start + size > len(self._content):
            raise PackError("the OpenVINO file is damaged: the position or size of weights is invalid")
        values = np.frombuffer(self._content[start : start + size], element_type)
        return values.astype(np.float32).reshape(shape)

    def conversion(self, layer: _Layer, value: _Value) -> _Value:
        if isinstance(value, str):
            raise PackError(f"the OpenVINO file has a layer {layer.op} that does not convert weights")
        return value

    def convolution(self, layer: _Layer, value: _Value, filters: _Value) -> _Value:
        return self._grouped_convolution(layer, value, _weights_of_rank(layer, filters, _RANK)[None])

    def group_convolution(self, layer: _Layer, value: _Value, filters: _Value) -> _Value:
        return self._grouped_convolution(layer, value, _weights_of_rank(layer, filters, _RANK + 1))

    def _grouped_convolution(self, layer: _Layer, value: _Value, filters: _Weights) -> str:
        """Append a convolution with filters of groups x outputs x inputs x H x W; ONNX joins the first two axes."""
        group, count, *rest = filters.shape
        attributes = {"dilations": layer.numbers("dilations"), "kernel_shape": rest[1:], **layer.window()}
        joined = filters.reshape(group * count, *rest)
        name = self._append("Conv", value, joined, group=group, **attributes)
        if self._uses[layer.id] == 1:
            self._channels_without_bias[name] = len(joined)
        return name

    def addition(self, _: _Layer, value: _Value, addend: _Value) -> _Value:
        if isinstance(value, str) and not isinstance(addend, str):
            channels = self._channels_without_bias.get(value)
            if channels and addend.shape == (1, channels, 1, 1):
                del self._channels_without_bias[value]
                self._builder.nodes[value].input.append(self._builder.constant(addend.reshape(channels)))
                return value
        return self._append("Add", value, addend)

    def multiplication(self, _: _Layer, value: _Value, factor: _Value) -> _Value:
        return self._append("Mul", value, factor)

    def prelu(self, layer: _Layer, value: _Value, slope: _Value) -> _Value:
        slopes = _weights_of_rank(layer, slope, 1)
        if slopes.size != 1:
            raise PackError(f"the OpenVINO file has a layer {layer.op} with several slopes")
        return self._append("LeakyRelu", value, alpha=slopes.item())

    def average_pool(self, layer: _Layer, value: _Value) -> _Value:
        return self._append("AveragePool", value, kernel_shape=layer.numbers("kernel"), **layer.window())

    def sigmoid(self, _: _Layer, value: _Value) -> _Value:
        return self._append("Sigmoid", value)

    def result(self, _: _Layer, value: _Value) -> _Value:
        if _OUTPUT in self._builder.nodes:
            raise PackError("the OpenVINO file has more than one result")
        return self._builder.append("Flatten", [self._tensor_name(value)], _OUTPUT)

    def _append(self, op: str, *inputs: _Value, **attributes: float | Sequence[int]) -> str:
        return self._builder.append(op, [self._tensor_name(value) for value in inputs], **attributes)

    def _tensor_name(self, value: _Value) -> str:
        return value if isinstance(value, str) else self._builder.constant(value)


def _weights_of_rank(layer: _Layer, value: _Value, rank: int) -> _Weights:
    if isinstance(value, str) or value.ndim != rank:
        raise PackError(f"the OpenVINO file has a layer {layer.op} without weights of {rank} dimensions")
    return value


_NUMPY = {"auto_broadcast": "numpy"}
_EXPLICIT = {"auto_pad": "explicit"}
_OPERATIONS: Mapping[str, tuple[int, Mapping[str, str], Callable[..., _Value]]] = {
    "Parameter (opset1)": (0, {"element_type": "f32"}, _Network.parameter),
    "Const (opset1)": (0, {}, _Network.constant),
    "Convert (opset1)": (1, {"destination_type": "f32"}, _Network.conversion),
    "Convolution (opset1)": (2, _EXPLICIT, _Network.convolution),
    "GroupConvolution (opset1)": (2, _EXPLICIT, _Network.group_convolution),
    "Add (opset1)": (2, _NUMPY, _Network.addition),
    "Multiply (opset1)": (2, _NUMPY, _Network.multiplication),
    "PReLU (opset1)": (2, {}, _Network.prelu),
    "AvgPool (opset1)": (1, {"rounding_type": "floor", "exclude-pad": "true"} | _EXPLICIT, _Network.average_pool),
    "Sigmoid (opset1)": (1, {}, _Network.sigmoid),
    "Result (opset1)": (1, {}, _Network.result),
}
"""For every supported operation: number of inputs, required attributes, translation."""
