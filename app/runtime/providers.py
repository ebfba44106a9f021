"""Devices and their onnxruntime execution providers, and checks that the requested device is used.

The service never replaces a device by the CPU silently: it uses the requested device or does not start. All devices
calculate in float32, because scores are calibrated once for all machines. None uses half precision or TF32, NVIDIA's
default with 10 bits of mantissa.
"""

from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import distributions
from typing import NamedTuple

import platformdirs

from app.errors import OperatorError
from app.ops.process import pip_command


class DeviceError(OperatorError):
    """The requested device cannot be used."""


class Provider(NamedTuple):
    """An onnxruntime execution provider."""

    name: str
    options: dict[str, str]
    remedy: str
    """Requirements of the device, for the operator."""
    fallbacks: tuple[str, ...] = ()
    """Devices for nodes that this one does not support. The CPU is always the last one."""
    environment: Mapping[str, str] = {}
    """Variables that the provider's libraries read."""


class Node(NamedTuple):
    """A node of a model, and the name of the provider that runs it."""

    provider: str
    operator: str


_GPU = "an NVIDIA GPU, its driver, and onnxruntime-gpu instead of onnxruntime (deploy/README.md)"

PROVIDERS = {
    "cpu": Provider("CPUExecutionProvider", {}, "reinstall onnxruntime"),
    "cuda": Provider(
        "CUDAExecutionProvider",
        # The default tries every algorithm for each new input shape, which takes seconds; images have many shapes.
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
        f"it needs {_GPU}, and the libraries of TensorRT 10 on the path of the loader (LD_LIBRARY_PATH)",
        fallbacks=("cuda",),
        environment={"NVIDIA_TF32_OVERRIDE": "0"},  # TensorRT has no option to disable TF32
    ),
}

_CPU = PROVIDERS["cpu"].name
_EXPENSIVE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Operators that take nearly all of the time. onnxruntime leaves others, such as shape arithmetic, to the CPU."""


def select_provider(device: str, available: Collection[str]) -> Provider:
    """Return the provider of ``device``; raise :class:`DeviceError` unless onnxruntime offers it."""
    provider = PROVIDERS[device]
    if provider.name not in available:
        raise DeviceError(f"device {device!r} is not available: {provider.remedy}")
    return provider


def installed_builds() -> list[str]:
    """Return the installed distributions that contain the package ``onnxruntime``."""
    return [name for name in ("onnxruntime", "onnxruntime-gpu") if any(distributions(name=name))]


def check_build(installed: Collection[str], *, is_complete: bool) -> None:
    """Raise :class:`DeviceError` unless the files of onnxruntime come from a single distribution.

    insightface requires ``onnxruntime``, so pip installs it beside ``onnxruntime-gpu``: the later one overwrites files
    of the other, and uninstalling either deletes files of both.
    """
    if len(installed) > 1:
        raise DeviceError(
            f"{' and '.join(installed)} are both installed and overwrite each other's files: run "
            f"`{pip_command('uninstall -y onnxruntime onnxruntime-gpu')}`, then for a GPU "
            f"`{pip_command('install --no-deps onnxruntime-gpu')}`, else `{pip_command('install onnxruntime')}`"
        )
    if not is_complete:
        raise DeviceError(
            "files of onnxruntime are missing, probably because onnxruntime and onnxruntime-gpu were both installed "
            "and one was uninstalled: uninstall both, then install one"
        )


def check_placement(device: str, model: str, nodes: Iterable[Node]) -> None:
    """Raise :class:`DeviceError` if the CPU would run expensive nodes of ``model`` instead of ``device``."""
    expensive = [node.provider for node in nodes if node.operator in _EXPENSIVE]
    if PROVIDERS[device].name != _CPU and (on_cpu := expensive.count(_CPU)):
        raise DeviceError(
            f"device {device!r} leaves {on_cpu} of {len(expensive)} convolutions and matrix products of {model} to the "
            f"CPU: {PROVIDERS[device].remedy}"
        )
