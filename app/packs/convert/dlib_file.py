"""Read dlib's serialised network (``.dat``) into its layers, in the order of computation.

Supported are the layers of ``dlib_face_recognition_resnet_model_v1``. The module only reads the format; :mod:`dlib`
converts the layers.

The format is that of dlib 19 (``dlib/serialize.h``, ``dlib/dnn/layers.h``). An integer is a byte (low nibble: number of
the bytes that follow, bit 7: sign) and its little-endian bytes. A float is two integers, mantissa and binary exponent.
Strings and tensors start with their lengths, as integers. All reads are bounds-checked: a damaged file raises
:class:`PackError`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.packs.manifest import PackError

Weights: TypeAlias = NDArray[np.float32]

_SIGN_BIT, _COUNT_MASK, _MAX_INTEGER_BYTES = 0x80, 0x0F, 8
_MAX_NAME_LENGTH = 32
_INPUT_VERSION = 3  # of the input layer; the wrappers stored before it (layers, tags, skips) have versions 1 and 2


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """``filters`` are K x C x H x W; ``bias`` is K."""

    filters: Weights
    bias: Weights
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """``gamma * x + beta``; both are K, one value per channel."""

    gamma: Weights
    beta: Weights


@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum or mean over a window; the window (0, 0) is the whole feature map."""

    is_mean: bool
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Relu:
    """Replace negative values by 0."""


@dataclass(frozen=True, slots=True)
class AddShortcut:
    """Add the input of the residual block."""


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """``x @ matrix``; ``matrix`` is inputs x outputs."""

    matrix: Weights


Layer: TypeAlias = Convolution | Affine | Pool | Relu | AddShortcut | Dense


def read(data: bytes) -> tuple[Layer, ...]:
    """Return the layers of a network."""
    stream = _Stream(data)
    _skip_header(stream)
    layers: list[Layer] = []
    while not layers or not isinstance(layers[-1], Dense):
        name = stream.text()
        if name not in _READERS:
            raise PackError(f"the dlib file has the unsupported layer {name!r}")
        layers.append(_READERS[name](stream))
        if not set(stream.take(3)) <= set(b"01"):  # booleans, an ASCII digit each
            raise PackError("the dlib file is damaged: invalid boolean")
        for _ in range(3):  # gradients and cached output
            stream.tensor()
        if len(layers) == 1:
            stream.expect(1)  # samples per image
    if not stream.is_at_end:
        raise PackError("the dlib file has data after its last layer")
    return tuple(layers)


class _Stream:
    """Reads dlib's primitive values one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, count: int) -> memoryview:
        end = self._position + count
        if end > len(self._data):
            raise PackError("the dlib file is truncated")
        start, self._position = self._position, end
        return self._data[start:end]

    def integer(self) -> int:
        head = self.take(1)[0]
        count = head & _COUNT_MASK
        if count > _MAX_INTEGER_BYTES or head & ~(_SIGN_BIT | _COUNT_MASK):
            raise PackError("the dlib file is damaged: invalid integer")
        value = int.from_bytes(self.take(count), "little")
        return -value if head & _SIGN_BIT else value

    def natural(self) -> int:
        value = self.integer()
        if not 0 <= value <= len(self._data):
            raise PackError("the dlib file is damaged: invalid size")
        return value

    def pair(self) -> tuple[int, int]:
        return self.natural(), self.natural()

    def expect(self, value: int) -> None:
        if self.integer() != value:
            raise PackError("the dlib file has an unsupported version")

    def text(self) -> str:
        length = self.natural()
        if length > _MAX_NAME_LENGTH:
            raise PackError("the dlib file is damaged: invalid name")
        return bytes(self.take(length)).decode("ascii", "replace")

    def skip_floats(self, count: int) -> None:
        for _ in range(2 * count):
            self.integer()

    def skip_positions(self) -> None:
        """Skip the positions of two arrays (filters and biases, say) within the values of a layer."""
        for _ in range(2):
            self.expect(1)
            for _ in range(4):
                self.natural()

    def tensor(self) -> Weights:
        """Return all values of a tensor as a flat array."""
        self.expect(2)  # version
        count = prod(self.natural() for _ in range(4))
        values = np.frombuffer(self.take(4 * count), np.dtype("<f4"))
        if not np.isfinite(values).all():
            raise PackError("the dlib file is damaged: a weight is not finite")
        return values


def _skip_header(stream: _Stream) -> None:
    stream.expect(1)  # version
    if (loss := stream.text()) != "loss_metric_2":
        raise PackError(f"the dlib file was trained with the loss {loss!r}, not for face recognition")
    stream.skip_floats(2)  # margin, distance threshold
    while (version := stream.integer()) != _INPUT_VERSION:
        if version not in {1, 2}:
            raise PackError("the dlib file has an unsupported version")
    if stream.text() != "input_rgb_image_sized":
        raise PackError("the dlib file does not have an RGB image as input")
    stream.skip_floats(3)  # mean colour, also in pack.toml
    stream.pair()  # image size, also in pack.toml


def _reshaped(values: Weights, *shape: int) -> Weights:
    try:
        return values.reshape(shape)
    except ValueError as error:
        raise PackError("the dlib file is damaged: a layer's weights do not match its shape") from error


def _read_convolution(stream: _Stream) -> Convolution:
    values = stream.tensor()
    count = stream.natural()
    window, stride, padding = stream.pair(), stream.pair(), stream.pair()
    stream.skip_positions()
    stream.skip_floats(4)  # training rates
    filters, bias = np.split(values, [max(values.size - count, 0)])
    return Convolution(_reshaped(filters, count, -1, *window), _reshaped(bias, count), stride, padding)


def _read_affine(stream: _Stream) -> Affine:
    values = stream.tensor()
    stream.skip_positions()
    stream.natural()  # mode: per channel or per value, follows from the size
    return Affine(*_reshaped(values, 2, -1))


def _read_pool(stream: _Stream, *, is_mean: bool) -> Pool:
    return Pool(is_mean, window=stream.pair(), stride=stream.pair(), padding=stream.pair())


def _read_dense(stream: _Stream) -> Dense:
    outputs, inputs = stream.pair()
    matrix = _reshaped(stream.tensor(), inputs, outputs)
    stream.skip_positions()
    stream.expect(1)  # mode without bias
    stream.skip_floats(4)  # training rates
    return Dense(matrix)


_READERS: Mapping[str, Callable[[_Stream], Layer]] = {
    "con_4": _read_convolution,
    "affine_": _read_affine,
    "relu_": lambda stream: Relu(),
    "add_prev_": lambda stream: AddShortcut(),
    "max_pool_2": lambda stream: _read_pool(stream, is_mean=False),
    "avg_pool_2": lambda stream: _read_pool(stream, is_mean=True),
    "fc_2": _read_dense,
}
