"""The converters that a ``pack.toml`` may name: the bytes of a package's file -> the bytes of a weight file.

Importing this module imports ``onnx``, so only ``Store.prepare`` does, and only when a file has to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.packs import dlib_onnx, onnx_clean
from app.packs.manifest import ConverterName

CONVERTERS: Mapping[ConverterName, Callable[[bytes], bytes]] = {
    "centerface": onnx_clean.clean,
    "dlib_resnet_v1": dlib_onnx.convert,
}
