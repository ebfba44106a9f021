"""Converters: published model files to the ONNX files of a pack.

They are build tools: only :mod:`app.packs.build` imports them, and only when a file must be built, because importing
``onnx`` takes half a second. A converter maps the bytes of its sources to the bytes of a weight file. Equal sources
always give equal bytes, because the digests of weight files are recorded.
"""

from collections.abc import Callable, Mapping

from app.packs.convert import dlib, dlib_int8, onnx_graph, openvino, openvino_int8
from app.packs.manifest import ConverterName

CONVERTERS: Mapping[ConverterName, Callable[..., bytes]] = {
    "centerface": onnx_graph.clean,
    "dlib_resnet_v1": dlib.convert,
    "dlib_resnet_v1_int8": dlib_int8.convert,
    "openvino_ir": openvino.convert,
    "openvino_ir_int8": openvino_int8.convert,
    "yunet": onnx_graph.clean,
}
"""The converters that a ``pack.toml`` can name."""
