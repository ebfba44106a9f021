"""Any ONNX file of a fully convolutional network -> the same network for any batch and picture size.

In: the bytes of the file as published. Out: the bytes of the file as served; the same input always gives the same
bytes. Three things that old exporters do are mended. They fix every dimension, so batch, height and width become
symbols. They list every weight among the graph's inputs, which makes weights overridable (onnxruntime then folds no
batch normalisation and warns once per tensor), so those inputs are dropped. And weights that no node uses are dropped.
"""

from __future__ import annotations

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, ValueInfoProto

from app.packs.manifest import PackError

_RANK = 4  # N x C x H x W
_IR_VERSION = 4  # the first one that allows initializers outside the inputs


def clean(source: bytes) -> bytes:
    """Free the batch, height and width of a model and drop its weights from its inputs."""
    try:
        model = onnx.load_model_from_string(source)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise PackError("the source is not a valid ONNX file") from error
    _drop_weights_from_inputs(model)
    _drop_unused_weights(model)
    for value in model.graph.input:
        _free(value, ("batch", "height", "width"))
    for value in model.graph.output:
        _free(value, ("batch", f"{value.name}_height", f"{value.name}_width"))
    model.ir_version = max(model.ir_version, _IR_VERSION)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _drop_weights_from_inputs(model: ModelProto) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _drop_unused_weights(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)


def _free(value: ValueInfoProto, symbols: tuple[str, str, str]) -> None:
    dims = value.type.tensor_type.shape.dim
    if len(dims) != _RANK:
        raise PackError(f"tensor {value.name} of the source has {len(dims)} dimensions instead of {_RANK}")
    for axis, symbol in zip((0, 2, 3), symbols, strict=True):
        dims[axis].dim_param = symbol
