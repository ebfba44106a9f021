"""Device name -> onnxruntime execution provider and its options, as one table; and the checks that a device is used.

A device that was asked for is used or refused; nothing falls back to the CPU silently. Scores are calibrated once for
all machines, so devices calculate in full float32: no half precision, and none of NVIDIA's TF32, which has 10 bits of
mantissa and is on by default.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import platformdirs

from app.errors import OperatorError


class DeviceError(OperatorError):
    """The device asked for is not available; the text is for the operator."""


class Provider(NamedTuple):
    """An onnxruntime execution provider.

    ``beneath``: the device that takes the nodes this one cannot. ``environment``: what its libraries read there.
    """

    name: str
    options: dict[str, str]
    remedy: str
    beneath: str | None = None
    environment: Mapping[str, str] = {}


class Node(NamedTuple):
    """A node of a model, and the name of the provider that runs it."""

    provider: str
    operator: str


_GPU = "an NVIDIA GPU, its driver, and onnxruntime-gpu in the place of onnxruntime (deploy/README.md, section GPU)"

PROVIDERS = {
    "cpu": Provider("CPUExecutionProvider", {}, "reinstall onnxruntime"),
    "cuda": Provider(
        "CUDAExecutionProvider",
        # The default tries every algorithm at every new shape, which takes seconds; pictures have many shapes.
        {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"},
        f"it needs {_GPU}",
    ),
    "tensorrt": Provider(
        "TensorrtExecutionProvider",
        {
            "trt_fp16_enable": "0",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(platformdirs.user_cache_path("compareface") / "tensorrt"),
        },
        f"it needs {_GPU}, and the libraries of TensorRT 10 where the loader finds them (LD_LIBRARY_PATH)",
        beneath="cuda",
        environment={"NVIDIA_TF32_OVERRIDE": "0"},  # it has no option for that
    ),
}

_CPU = PROVIDERS["cpu"].name
_BUILDS = ("onnxruntime", "onnxruntime-gpu")
_HEAVY = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Operators that take nearly all of the time. Others, such as sums of shapes, are left to the CPU on purpose."""


def select_provider(device: str, available: Collection[str]) -> Provider:
    """Return the provider of ``device``; raise :class:`DeviceError` unless onnxruntime offers it."""
    provider = PROVIDERS[device]
    if provider.name not in available:
        raise DeviceError(f"device {device!r} is not available: {provider.remedy}")
    return provider


def beneath(provider: Provider) -> list[Provider]:
    """Return the providers that take the nodes which ``provider`` cannot, but for the CPU, which is always the last."""
    return [PROVIDERS[provider.beneath]] if provider.beneath else []


def installed_builds() -> list[str]:
    """Return the installed distributions that own the folder ``onnxruntime``."""
    return [name for name in _BUILDS if _is_installed(name)]


def check_build(installed: Collection[str], *, is_whole: bool) -> None:
    """Raise :class:`DeviceError` where onnxruntime is not what one distribution brought.

    insightface asks for ``onnxruntime`` by name, so pip installs it beside ``onnxruntime-gpu``: the later one
    overwrites files of the other, and uninstalling either deletes files of both.
    """
    if len(installed) > 1:
        raise DeviceError(
            f"{' and '.join(installed)} are both installed and overwrite each other's files. Repair: "
            "`pip uninstall -y onnxruntime onnxruntime-gpu`, then for a GPU `pip install --no-deps onnxruntime-gpu`, "
            "else `pip install onnxruntime`"
        )
    if not is_whole:
        raise DeviceError(
            "files of onnxruntime are missing, as when one of onnxruntime and onnxruntime-gpu was uninstalled beside "
            "the other: uninstall both and install one"
        )


def check_placement(device: str, model: str, nodes: Iterable[Node]) -> None:
    """Raise :class:`DeviceError` where the CPU would do the heavy work of another device."""
    heavy = [node.provider for node in nodes if node.operator in _HEAVY]
    if PROVIDERS[device].name != _CPU and (left := heavy.count(_CPU)):
        raise DeviceError(
            f"device {device!r} leaves {left} of {len(heavy)} convolutions and matrix products of {model} to the CPU: "
            f"{PROVIDERS[device].remedy}"
        )


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
