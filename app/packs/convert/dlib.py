"""dlib's face recognition network (``dlib_face_recognition_resnet_model_v1.dat``) -> ONNX.

In: the bytes of the ``.dat``. Out: the bytes of an ONNX file; the same input always gives the same bytes. Its
input ``image`` is N x 3 x 150 x 150, float32, RGB, already normalised; its output ``embedding`` is N x 128,
float32, not of length 1.

Every affine layer is folded into the convolution before it, which changes the result by rounding only. A residual
block adds what it was given to what it computed; where the two differ in channels or size, dlib treats the smaller
one as if it were filled up with zeros at the end of the axis, and so does this graph.

One thing is not dlib's: what the eleventh block gives out ends at 6, which four of five faces do not reach. Some of its
256 channels answer to the faces of some people with up to 19, and nothing else counts then, so that strangers are alike
(app/README.md, "Decisions").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from app.packs.convert.dlib_file import AddShortcut, Affine, Convolution, Dense, Layer, Pool, Relu, Weights, read
from app.packs.manifest import PackError

_SIDE = 150  # pixels
_DIMENSION = 128
_OPSET, _IR_VERSION = 13, 8
_BLOCKS = (3, 4, 3, 3, 1)  # residual blocks per group; all groups but the first start by halving the size

_Kinds: TypeAlias = tuple[type[Layer], ...]
_STEM: _Kinds = (Convolution, Affine, Relu, Pool)
_BLOCK: _Kinds = (Convolution, Affine, Relu, Convolution, Affine, AddShortcut, Relu)
_HALVING_BLOCK: _Kinds = (Convolution, Affine, Relu, Convolution, Affine, Pool, AddShortcut, Relu)
_HEAD: _Kinds = (Pool, Dense)

_CAPPED_BLOCK, _CAP = 11, 6.0


def convert(source: bytes) -> bytes:
    """Translate the network."""
    content: bytes = translate(source).SerializeToString(deterministic=True)
    return content


def translate(source: bytes) -> ModelProto:
    """Return the network as a graph."""
    layers = read(source)
    if tuple(type(layer) for layer in layers) != _expected():
        raise PackError("the dlib file holds another network than the face embedding_pipeline")
    graph = _Graph()
    for layer in _fold(layers):
        graph.add(layer)
    return graph.model()


def _expected() -> _Kinds:
    groups = [_HALVING_BLOCK + _BLOCK * (count - 1) for count in _BLOCKS[1:]]
    return _STEM + _BLOCK * _BLOCKS[0] + sum(groups, ()) + _HEAD


def _fold(layers: Sequence[Layer]) -> list[Layer]:
    """Merge each affine layer into the convolution before it; :func:`_expected` has one before each."""
    folded: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Affine) and isinstance(folded[-1], Convolution):
            folded[-1] = _merge(folded[-1], layer)
        else:
            folded.append(layer)
    return folded


def _merge(convolution: Convolution, affine: Affine) -> Convolution:
    if affine.gamma.shape != convolution.bias.shape:
        raise PackError("the dlib file is damaged: an affine layer does not fit its convolution")
    gamma = affine.gamma.astype(np.float64)
    filters = convolution.filters * gamma[:, None, None, None]
    bias = convolution.bias * gamma + affine.beta
    return replace(convolution, filters=filters.astype(np.float32), bias=bias.astype(np.float32))


_Shape: TypeAlias = tuple[int, int, int]
"""C x H x W."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of the graph."""

    name: str
    shape: _Shape


class _Graph:
    """The graph so far: ``_value`` is the end of the chain, ``_shortcut`` what the current block was given."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._value = self._shortcut = _Value("image", (3, _SIDE, _SIDE))
        self._ends_block = False
        self._blocks = 0

    def add(self, layer: Layer) -> None:
        match layer:
            case Convolution():
                self._convolve(layer)
            case Relu():
                self._rectify()
            case Pool():
                self._pool(layer)
            case AddShortcut():
                self._add_shortcut()
            case Dense():
                self._multiply(layer.matrix)

    def model(self) -> ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, _SIDE, _SIDE])
        embedding = helper.make_tensor_value_info(self._value.name, TensorProto.FLOAT, ["batch", _DIMENSION])
        graph = helper.make_graph(self._nodes, "dlib_resnet_v1", [image], [embedding], self._weights)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="compareface")
        model.ir_version = _IR_VERSION
        checker.check_model(model, full_check=True)
        return model

    def _append(self, op: str, inputs: list[str], shape: _Shape, **attributes: Sequence[int]) -> _Value:
        name = f"{op.lower()}_{len(self._nodes)}"
        node = helper.make_node(op, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, values) for key, values in sorted(attributes.items()))
        self._nodes.append(node)
        return _Value(name, shape)

    def _constant(self, values: Weights | np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _convolve(self, layer: Convolution) -> None:
        count, channels, *window = layer.filters.shape
        if channels != self._value.shape[0]:
            raise PackError("the dlib file is damaged: a convolution does not fit what it is given")
        self._value = self._append(
            "Conv",
            [self._value.name, self._constant(layer.filters), self._constant(layer.bias)],
            (count, *_slide(self._value, (window[0], window[1]), layer.stride, layer.padding)),
            kernel_shape=window,
            strides=layer.stride,
            pads=layer.padding * 2,
        )

    def _rectify(self) -> None:
        is_capped = self._ends_block and self._blocks == _CAPPED_BLOCK
        limits = [self._constant(np.array(limit, np.float32)) for limit in (0, _CAP)] if is_capped else []
        self._value = self._append("Clip" if is_capped else "Relu", [self._value.name, *limits], self._value.shape)
        if self._ends_block:
            self._shortcut, self._ends_block = self._value, False

    def _pool(self, layer: Pool) -> None:
        """A maximum is taken of the value; a mean of the shortcut or, without a window, of the whole value."""
        if not layer.mean:
            self._value = self._shortcut = self._shrink("MaxPool", self._value, layer)
        elif any(layer.window):
            self._shortcut = self._shrink("AveragePool", self._shortcut, layer)
        else:
            self._value = self._append("GlobalAveragePool", [self._value.name], (self._value.shape[0], 1, 1))

    def _shrink(self, op: str, value: _Value, layer: Pool) -> _Value:
        return self._append(
            op,
            [value.name],
            (value.shape[0], *_slide(value, layer.window, layer.stride, layer.padding)),
            kernel_shape=layer.window,
            strides=layer.stride,
            pads=layer.padding * 2,
        )

    def _add_shortcut(self) -> None:
        a, b = self._value.shape, self._shortcut.shape
        shape = (max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]))
        inputs = [self._pad(value, shape).name for value in (self._value, self._shortcut)]
        self._value = self._append("Add", inputs, shape)
        self._ends_block = True
        self._blocks += 1

    def _pad(self, value: _Value, shape: _Shape) -> _Value:
        missing = [wanted - present for wanted, present in zip(shape, value.shape, strict=True)]
        if not any(missing):
            return value
        pads = self._constant(np.array([0, 0, 0, 0, 0, *missing], np.int64))
        return self._append("Pad", [value.name, pads], shape)

    def _multiply(self, matrix: Weights) -> None:
        if matrix.shape != (self._value.shape[0], _DIMENSION):
            raise PackError("the dlib file is damaged: the last layer does not fit what it is given")
        flat = self._append("Flatten", [self._value.name], self._value.shape)
        node = helper.make_node("MatMul", [flat.name, self._constant(matrix)], ["embedding"], name="embedding")
        self._nodes.append(node)
        self._value = _Value("embedding", (_DIMENSION, 1, 1))


def _slide(
    value: _Value, window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """Height and width of what a window that slides over a plane produces."""
    if 0 in stride:
        raise PackError("the dlib file is damaged: a window does not move")
    height, width = (
        (side + 2 * pad - size) // step + 1
        for side, size, step, pad in zip(value.shape[1:], window, stride, padding, strict=True)
    )
    if height < 1 or width < 1:
        raise PackError("the dlib file is damaged: a window is larger than what it slides over")
    return height, width
