"""A model file opened for running. The only module that imports onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, cast

import numpy as np

# Its telemetry is on by default: at import it starts to write a device id into the user's cache and to look up
# Microsoft's collector. `disable_telemetry_events()` comes too late to keep it from that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from numpy.typing import NDArray

from app.runtime.providers import DeviceError, select_provider

Tensor = NDArray[np.float32]

_ERRORS = 3  # onnxruntime's level of logging


class Session(Protocol):
    """A model with one input. Safe to call from several threads at once."""

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch`` (N first, float32) and return the model's outputs in the file's order."""


class OrtSession:
    """An onnxruntime session on exactly the device that was asked for."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        batch = session.get_inputs()[0].shape[0]
        self._batch = batch if isinstance(batch, int) else None

    @classmethod
    def open(cls, path: Path, device: str, intra_op_threads: int) -> OrtSession:
        """Load ``path``; raise :class:`DeviceError` when ``device`` would not be used."""
        provider = select_provider(device, ort.get_available_providers())
        options = ort.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        # Published files declare outputs of one batch or size and give others: that would be a warning at every run.
        options.log_severity_level = _ERRORS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(str(path), options, providers=[(provider.name, provider.options)])
        if session.get_providers()[0] != provider.name:
            raise DeviceError(f"device {device!r} refused the model {path.name}: {provider.remedy}")
        return cls(session)

    @property
    def provider(self) -> str:
        return cast("str", self._session.get_providers()[0])

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, in pieces where the file was written for a smaller one."""
        if not self._batch or len(batch) <= self._batch:
            return self._run(batch)
        pieces = [self._run(batch[start : start + self._batch]) for start in range(0, len(batch), self._batch)]
        return [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]

    def _run(self, batch: Tensor) -> list[Tensor]:
        return cast("list[Tensor]", self._session.run(None, {self._input: batch}))
