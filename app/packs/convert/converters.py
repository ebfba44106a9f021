"""The converters that a ``pack.toml`` may name: the bytes of published files -> the bytes of a weight file.

Importing this module imports ``onnx``, so only ``making`` does, and only when a file has to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.packs.convert import dlib, dlib_int8, onnx_graph, openvino
from app.packs.manifest import ConverterName

CONVERTERS: Mapping[ConverterName, Callable[..., bytes]] = {
    "centerface": onnx_graph.clean,
    "dlib_resnet_v1": dlib.convert,
    "dlib_resnet_v1_int8": dlib_int8.convert,
    "openvino_ir": openvino.convert,
    "yunet": onnx_graph.clean,
}
