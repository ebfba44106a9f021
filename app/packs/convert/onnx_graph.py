"""Make a fully convolutional ONNX network accept any batch and image size.

The conversion undoes what exporters do:

- They fix dimensions or reuse a symbol for different ones. Here batch, height and width become symbols, and the
  recorded shapes of intermediate tensors are dropped.
- They write a batch of 1 into the shapes of ``Reshape``. It becomes 0, which copies the batch of the input.
- They list weights among the graph inputs, so that onnxruntime folds no batch normalisation and warns about every
  weight. These inputs are dropped, and so are unused weights.

A network whose outputs have no batch axis keeps its batch of 1.
"""

from collections.abc import Mapping, MutableSequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, ValueInfoProto, numpy_helper

from app.packs.manifest import PackError

_IMAGE, _LIST, _FLAT_LIST = 4, 3, 2  # ranks of N x C x H x W, N x cells x C, cells x C
_INPUT_SYMBOLS = {_IMAGE: {2: "height", 3: "width"}}
_OUTPUT_SYMBOLS = {_IMAGE: {2: "height", 3: "width"}, _LIST: {1: "cells"}, _FLAT_LIST: {0: "cells"}}
"""Names of axes, for each rank that is supported."""
_IR_VERSION = 4  # the first one that allows initializers outside the inputs


def clean(source: bytes) -> bytes:
    """Return the ONNX file with symbolic batch, height and width and without weights among its inputs."""
    try:
        model = onnx.load_model_from_string(source)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise PackError("the published file is not a valid ONNX file") from error
    graph = model.graph
    _keep(graph.input, {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer})
    _keep(graph.initializer, {name for node in graph.node for name in node.input})
    for value in graph.input:
        _set_symbols(value, _INPUT_SYMBOLS, "")
    for value in graph.output:
        _set_symbols(value, _OUTPUT_SYMBOLS, f"{value.name}_")
    if all(len(_dimensions(value)) != _FLAT_LIST for value in graph.output):
        _set_batch_symbol(model)
    del graph.value_info[:]
    model.ir_version = max(model.ir_version, _IR_VERSION)
    return bytes(model.SerializeToString(deterministic=True))


def _keep(values: MutableSequence[Any], names: set[str]) -> None:
    kept = [value for value in values if value.name in names]
    del values[:]
    values.extend(kept)


def _dimensions(value: ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)


def _set_symbols(value: ValueInfoProto, symbols: Mapping[int, Mapping[int, str]], prefix: str) -> None:
    dimensions = _dimensions(value)
    if len(dimensions) not in symbols:
        expected = " or ".join(map(str, symbols))
        raise PackError(f"tensor {value.name} has {len(dimensions)} dimensions instead of {expected}")
    for axis, symbol in symbols[len(dimensions)].items():
        dimensions[axis].dim_param = prefix + symbol


def _set_batch_symbol(model: ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        _dimensions(value)[0].dim_param = "batch"
    shape_names = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        shape = numpy_helper.to_array(tensor).tolist() if tensor.name in shape_names else []
        if shape[:2] == [1, -1]:
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), tensor.name))
