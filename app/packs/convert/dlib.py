"""Convert dlib's face recognition network (``dlib_face_recognition_resnet_model_v1.dat``) to ONNX.

Input ``image``: N x 3 x 150 x 150, float32, RGB, normalised. Output ``embedding``: N x 128, float32, not normalised.

Every affine layer is folded into the preceding convolution, which changes results only by rounding. A residual block
adds its input (the shortcut) to its output. If their shapes differ, the smaller one is padded with zeros at the end of
the axis, as in dlib.

Unlike dlib, the graph caps the output of the eleventh block at 6, and four of five faces stay below. For some people, a
few of its 256 channels reach 19 and dominate the embedding, so that different people get similar embeddings
(app/DECISIONS.md).
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from onnx import ModelProto

from app.packs.convert.dlib_file import AddShortcut, Affine, Convolution, Dense, Layer, Pool, Relu, read
from app.packs.convert.graph_builder import GraphBuilder
from app.packs.manifest import PackError

_SIDE = 150  # pixels
_DIMENSION = 128
_BLOCKS, _HALVING_BLOCKS = range(1, 15), (4, 8, 11, 14)
_CAPPED_BLOCK, _CAP = 11, 6.0

_LayerT = TypeVar("_LayerT", bound=Layer)
_Shape: TypeAlias = tuple[int, ...]
"""C x H x W."""


def convert(source: bytes) -> bytes:
    """Return the ONNX file of the network in the bytes of a ``.dat`` file."""
    return bytes(translate(source).SerializeToString(deterministic=True))


def translate(source: bytes) -> ModelProto:
    """Return the ONNX model of the network in the bytes of a ``.dat`` file."""
    return _Network(read(source)).model()


class _Network:
    """Appends the layers of the file to a graph. Tensors are represented by their names."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = iter(layers)
        self._builder = GraphBuilder()
        self._shapes: dict[str, _Shape] = {"image": (3, _SIDE, _SIDE)}

    def model(self) -> ModelProto:
        value = self._pool(self._relu(self._convolution("image")))
        for block in _BLOCKS:
            shortcut = value
            value = self._convolution(self._relu(self._convolution(value)))
            if block in _HALVING_BLOCKS:
                shortcut = self._pool(shortcut)
            value = self._sum(value, shortcut)
            value = self._relu(value, cap=_CAP if block == _CAPPED_BLOCK else None)
        self._dense(self._pool(value))
        return self._builder.model("dlib_resnet_v1", self._shapes["image"])

    def _next(self, kind: type[_LayerT]) -> _LayerT:
        layer = next(self._layers, None)
        if not isinstance(layer, kind):
            raise PackError("the dlib file contains a different network than dlib's face recognition ResNet")
        return layer

    def _append(self, op: str, inputs: Sequence[str], shape: _Shape, **attributes: Sequence[int]) -> str:
        name = self._builder.append(op, inputs, **attributes)
        self._shapes[name] = shape
        return name

    def _convolution(self, value: str) -> str:
        """Append a convolution with the affine layer that follows it."""
        layer, affine = self._next(Convolution), self._next(Affine)
        if affine.gamma.shape != layer.bias.shape:
            raise PackError("the dlib file is damaged: an affine layer does not match its convolution")
        count, channels, *window = layer.filters.shape
        if channels != self._shapes[value][0]:
            raise PackError("the dlib file is damaged: a convolution does not match its input")
        gamma = affine.gamma.astype(np.float64)
        weights = (layer.filters * gamma[:, None, None, None], layer.bias * gamma + affine.beta)
        constants = [self._builder.constant(array.astype(np.float32)) for array in weights]
        return self._sliding_window("Conv", [value, *constants], count, window, layer)

    def _pool(self, value: str) -> str:
        layer, channels = self._next(Pool), self._shapes[value][0]
        if layer.is_mean and not any(layer.window):
            return self._append("GlobalAveragePool", [value], (channels, 1, 1))
        op = "AveragePool" if layer.is_mean else "MaxPool"
        return self._sliding_window(op, [value], channels, layer.window, layer)

    def _sliding_window(
        self, op: str, inputs: Sequence[str], channels: int, window: Sequence[int], layer: Convolution | Pool
    ) -> str:
        if 0 in layer.stride:
            raise PackError("the dlib file is damaged: a window has stride 0")
        sides = self._shapes[inputs[0]][1:]
        axes = zip(sides, window, layer.stride, layer.padding, strict=True)
        size = [(side + 2 * padding - length) // step + 1 for side, length, step, padding in axes]
        if min(size) < 1:
            raise PackError("the dlib file is damaged: a window is larger than its input")
        attributes = {"kernel_shape": window, "strides": layer.stride, "pads": layer.padding * 2}
        return self._append(op, inputs, (channels, *size), **attributes)

    def _relu(self, value: str, cap: float | None = None) -> str:
        self._next(Relu)
        if cap is None:
            return self._append("Relu", [value], self._shapes[value])
        limits = [self._builder.constant(np.array(limit, np.float32)) for limit in (0, cap)]
        return self._append("Clip", [value, *limits], self._shapes[value])

    def _sum(self, value: str, shortcut: str) -> str:
        self._next(AddShortcut)
        shape = tuple(map(max, self._shapes[value], self._shapes[shortcut]))
        return self._append("Add", [self._padded(value, shape), self._padded(shortcut, shape)], shape)

    def _padded(self, value: str, shape: _Shape) -> str:
        if self._shapes[value] == shape:
            return value
        ends = np.subtract(shape, self._shapes[value])
        pads = self._builder.constant(np.array([0, 0, 0, 0, 0, *ends], np.int64))
        return self._append("Pad", [value, pads], shape)

    def _dense(self, value: str) -> None:
        matrix = self._next(Dense).matrix
        if matrix.shape != (self._shapes[value][0], _DIMENSION):
            raise PackError("the dlib file is damaged: the last layer does not match its input")
        flat = self._builder.append("Flatten", [value])
        self._builder.append("MatMul", [flat, self._builder.constant(matrix)], "embedding")
