"""Convert dlib's face recognition network (``dlib_face_recognition_resnet_model_v1.dat``) to ONNX.

Input ``image``: N x 3 x 150 x 150, float32, RGB, normalised. Output ``embedding``: N x 128, float32, not normalised.

Every affine layer is folded into the preceding convolution, which changes results only by rounding. A residual block
adds its input (the shortcut) to its output. If their shapes differ, the smaller one is padded with zeros at the end of
the axis, as in dlib.

Unlike dlib, the graph caps the output of the eleventh block at 6. Four of five faces do not reach that value. For some
people a few of the 256 channels reach 19 and dominate the embedding, so that different people get similar embeddings
(app/DECISIONS.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from onnx import ModelProto

from app.packs.convert.dlib_file import AddShortcut, Affine, Convolution, Dense, Layer, Pool, Relu, Weights, read
from app.packs.convert.graph_builder import GraphBuilder
from app.packs.manifest import PackError

_SIDE = 150  # pixels
_DIMENSION = 128
_BLOCKS = (3, 4, 3, 3, 1)  # residual blocks per group; all groups but the first start by halving the size

_LayerTypes: TypeAlias = tuple[type[Layer], ...]
_STEM: _LayerTypes = (Convolution, Affine, Relu, Pool)
_BLOCK: _LayerTypes = (Convolution, Affine, Relu, Convolution, Affine, AddShortcut, Relu)
_HALVING_BLOCK: _LayerTypes = (Convolution, Affine, Relu, Convolution, Affine, Pool, AddShortcut, Relu)
_HEAD: _LayerTypes = (Pool, Dense)

_CAPPED_BLOCK, _CAP = 11, 6.0


def convert(source: bytes) -> bytes:
    """Return the ONNX file of the network in the bytes of a ``.dat`` file."""
    content: bytes = translate(source).SerializeToString(deterministic=True)
    return content


def translate(source: bytes) -> ModelProto:
    """Return the ONNX model of the network in the bytes of a ``.dat`` file."""
    layers = read(source)
    if tuple(type(layer) for layer in layers) != _expected_types():
        raise PackError("the dlib file contains a different network than dlib's face recognition ResNet")
    network = _Network()
    for layer in _folded(layers):
        network.add(layer)
    return network.model()


def _expected_types() -> _LayerTypes:
    groups = [_HALVING_BLOCK + _BLOCK * (count - 1) for count in _BLOCKS[1:]]
    return _STEM + _BLOCK * _BLOCKS[0] + sum(groups, ()) + _HEAD


def _folded(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with every affine layer merged into the preceding convolution."""
    folded: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Affine) and isinstance(folded[-1], Convolution):
            folded[-1] = _merged(folded[-1], layer)
        else:
            folded.append(layer)
    return folded


def _merged(convolution: Convolution, affine: Affine) -> Convolution:
    if affine.gamma.shape != convolution.bias.shape:
        raise PackError("the dlib file is damaged: an affine layer does not match its convolution")
    gamma = affine.gamma.astype(np.float64)
    filters = convolution.filters * gamma[:, None, None, None]
    bias = convolution.bias * gamma + affine.beta
    return replace(convolution, filters=filters.astype(np.float32), bias=bias.astype(np.float32))


_Shape: TypeAlias = tuple[int, int, int]
"""C x H x W."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of the graph, without its batch axis."""

    name: str
    shape: _Shape


class _Network:
    """The network built so far.

    ``_value`` is the output of the last layer, ``_shortcut`` the input of the current residual block.
    """

    def __init__(self) -> None:
        self._builder = GraphBuilder()
        self._value = self._shortcut = _Value("image", (3, _SIDE, _SIDE))
        self._ends_block = False
        self._blocks = 0

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        match layer:
            case Convolution():
                self._add_convolution(layer)
            case Relu():
                self._add_relu()
            case Pool():
                self._add_pool(layer)
            case AddShortcut():
                self._add_shortcut()
            case Dense():
                self._add_dense(layer.matrix)

    def model(self) -> ModelProto:
        """Return the model of all layers."""
        return self._builder.model("dlib_resnet_v1", (3, _SIDE, _SIDE))

    def _append(self, op: str, inputs: list[str], shape: _Shape, **attributes: Sequence[int]) -> _Value:
        return _Value(self._builder.append(op, inputs, **attributes).name, shape)

    def _add_convolution(self, layer: Convolution) -> None:
        count, channels, *window = layer.filters.shape
        if channels != self._value.shape[0]:
            raise PackError("the dlib file is damaged: a convolution does not match its input")
        self._value = self._append(
            "Conv",
            [self._value.name, self._builder.constant(layer.filters), self._builder.constant(layer.bias)],
            (count, *_window_output_size(self._value, (window[0], window[1]), layer.stride, layer.padding)),
            kernel_shape=window,
            strides=layer.stride,
            pads=layer.padding * 2,
        )

    def _add_relu(self) -> None:
        is_capped = self._ends_block and self._blocks == _CAPPED_BLOCK
        limits = [self._builder.constant(np.array(limit, np.float32)) for limit in (0, _CAP)] if is_capped else []
        self._value = self._append("Clip" if is_capped else "Relu", [self._value.name, *limits], self._value.shape)
        if self._ends_block:
            self._shortcut, self._ends_block = self._value, False

    def _add_pool(self, layer: Pool) -> None:
        """Pool the value (maximum, or mean over the whole feature map) or the shortcut (mean over a window)."""
        if not layer.is_mean:
            self._value = self._shortcut = self._pooled("MaxPool", self._value, layer)
        elif any(layer.window):
            self._shortcut = self._pooled("AveragePool", self._shortcut, layer)
        else:
            self._value = self._append("GlobalAveragePool", [self._value.name], (self._value.shape[0], 1, 1))

    def _pooled(self, op: str, value: _Value, layer: Pool) -> _Value:
        return self._append(
            op,
            [value.name],
            (value.shape[0], *_window_output_size(value, layer.window, layer.stride, layer.padding)),
            kernel_shape=layer.window,
            strides=layer.stride,
            pads=layer.padding * 2,
        )

    def _add_shortcut(self) -> None:
        channels, height, width = map(max, self._value.shape, self._shortcut.shape)
        shape = (channels, height, width)
        inputs = [self._padded(value, shape).name for value in (self._value, self._shortcut)]
        self._value = self._append("Add", inputs, shape)
        self._ends_block = True
        self._blocks += 1

    def _padded(self, value: _Value, shape: _Shape) -> _Value:
        missing = [target - size for target, size in zip(shape, value.shape, strict=True)]
        if not any(missing):
            return value
        pads = self._builder.constant(np.array([0, 0, 0, 0, 0, *missing], np.int64))
        return self._append("Pad", [value.name, pads], shape)

    def _add_dense(self, matrix: Weights) -> None:
        if matrix.shape != (self._value.shape[0], _DIMENSION):
            raise PackError("the dlib file is damaged: the last layer does not match its input")
        flat = self._append("Flatten", [self._value.name], self._value.shape)
        self._builder.append("MatMul", [flat.name, self._builder.constant(matrix)], "embedding")


def _window_output_size(
    value: _Value, window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """Return the height and width of the output of a sliding window."""
    if 0 in stride:
        raise PackError("the dlib file is damaged: a window has stride 0")
    height, width = (
        (side + 2 * pad - size) // step + 1
        for side, size, step, pad in zip(value.shape[1:], window, stride, padding, strict=True)
    )
    if height < 1 or width < 1:
        raise PackError("the dlib file is damaged: a window is larger than its input")
    return height, width
