"""Any ONNX file of a fully convolutional network -> the same network for any batch and picture size.

In: the bytes of the file as published. Out: the bytes of the file as served; the same input always gives the same
bytes. What exporters do is mended. They fix dimensions (or call two different ones by the same name), so batch, height
and width become symbols, and what the file says about the sizes in between is dropped. They write the batch of 1 into
`Reshape`, so it is taken from the tensor instead. They list every weight among the graph's inputs, which makes weights
overridable (onnxruntime then folds no batch normalisation and warns once per tensor), so those inputs are dropped. And
weights that no node uses are dropped. A network whose outputs have no batch axis keeps its batch of 1.
"""

from __future__ import annotations

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, ValueInfoProto, numpy_helper

from app.packs.manifest import PackError

_PICTURE = 4  # N x C x H x W
_LIST = 3  # N x cells x C
_FLAT_LIST = 2  # cells x C
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
        _expect(value, (_PICTURE,))
        _free(value, {2: "height", 3: "width"})
    for value in model.graph.output:
        _free_output(value)
    if all(_rank(value) > _FLAT_LIST for value in model.graph.output):
        _free_batch(model)
    del model.graph.value_info[:]
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


def _free_output(value: ValueInfoProto) -> None:
    _expect(value, (_PICTURE, _LIST, _FLAT_LIST))
    rank = _rank(value)
    if rank == _PICTURE:
        _free(value, {2: f"{value.name}_height", 3: f"{value.name}_width"})
    else:
        _free(value, {rank - 2: f"{value.name}_cells"})


def _free_batch(model: ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        _free(value, {0: "batch"})
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        shape = numpy_helper.to_array(tensor).tolist() if tensor.name in shapes else []
        if shape[:2] == [1, -1]:
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), tensor.name))


def _expect(value: ValueInfoProto, ranks: tuple[int, ...]) -> None:
    if _rank(value) not in ranks:
        wanted = " or ".join(map(str, ranks))
        raise PackError(f"tensor {value.name} of the source has {_rank(value)} dimensions instead of {wanted}")


def _rank(value: ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _free(value: ValueInfoProto, symbols: dict[int, str]) -> None:
    for axis, symbol in symbols.items():
        value.type.tensor_type.shape.dim[axis].dim_param = symbol
