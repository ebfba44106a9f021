"""Device name -> onnxruntime execution provider and its options, as one table.

A device that was asked for is used or refused; nothing falls back to the CPU silently.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class DeviceError(RuntimeError):
    """The device asked for is not available; the text is for the operator."""


class Provider(NamedTuple):
    """An onnxruntime execution provider."""

    name: str
    options: dict[str, str]
    remedy: str


PROVIDERS = {
    "cpu": Provider("CPUExecutionProvider", {}, "reinstall onnxruntime"),
    "cuda": Provider(
        "CUDAExecutionProvider",
        {"cudnn_conv_algo_search": "HEURISTIC"},
        "it needs an NVIDIA GPU, its driver, and onnxruntime-gpu in the place of onnxruntime",
    ),
}


def select_provider(device: str, available: Collection[str]) -> Provider:
    """Return the provider of ``device``; raise :class:`DeviceError` unless onnxruntime offers it."""
    provider = PROVIDERS[device]
    if provider.name not in available:
        raise DeviceError(f"device {device!r} is not available: {provider.remedy}")
    return provider
