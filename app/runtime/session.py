"""A model file opened for running. The only module that imports onnxruntime."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Protocol, cast

import numpy as np

# Its telemetry is on by default: at import it starts to write a device id into the user's cache and to look up
# Microsoft's collector. `disable_telemetry_events()` comes too late to keep it from that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from numpy.typing import NDArray

from app.runtime import providers
from app.runtime.providers import DeviceError, Node, Provider

Tensor = NDArray[np.float32]

_ERRORS = 3  # onnxruntime's level of logging
_OPEN_SIDE = 64  # pixels, for a side that the file leaves open: a multiple of what every detector divides by


class Session(Protocol):
    """A model with one input. Safe to call from several threads at once."""

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch`` (N first, float32) and return the model's outputs in the file's order."""


class OrtSession:
    """An onnxruntime session on exactly the device that was asked for."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        source = session.get_inputs()[0]
        self._input = source.name
        batch, *sides = source.shape
        self.max_batch_size: int | None = batch if isinstance(batch, int) else None
        """Items in one run, where the file was written for so many."""
        self.item_shape = tuple(side if isinstance(side, int) else _OPEN_SIDE for side in sides)
        """The shape of an item that the file takes."""

    @classmethod
    def open(cls, path: Path, device: str, intra_op_threads: int) -> OrtSession:
        """Load ``path``; raise :class:`DeviceError` when ``device`` would not be used."""
        providers.check_build(providers.installed_builds(), is_whole=hasattr(ort, "InferenceSession"))
        provider = providers.select_provider(device, ort.get_available_providers())
        if device != "cpu":
            _make_ready(provider)
        refusal = f"device {device!r} refused {path.name}"
        with _told(refusal, provider):
            session = cls(_load(path, provider, intra_op_threads))
        if session.provider != provider.name:
            raise DeviceError(f"{refusal}: {provider.remedy}")
        providers.check_placement(device, path.name, _nodes(session._session))
        if device != "cpu":
            with _told(refusal, provider):  # a GPU that is too old for CUDA's kernels says so only now
                session.run(np.zeros((session.max_batch_size or 1, *session.item_shape), dtype=np.float32))
        return session

    @property
    def provider(self) -> str:
        return cast("str", self._session.get_providers()[0])

    @property
    def placement(self) -> dict[str, int]:
        """How many nodes of the model each provider runs."""
        return dict(Counter(node.provider for node in _nodes(self._session)))

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, in pieces where the file was written for a smaller one."""
        most = self.max_batch_size
        if not most or len(batch) <= most:
            return self._run(batch)
        pieces = [self._run(batch[start : start + most]) for start in range(0, len(batch), most)]
        return [np.concatenate(outputs) for outputs in zip(*pieces, strict=True)]

    def _run(self, batch: Tensor) -> list[Tensor]:
        return cast("list[Tensor]", self._session.run(None, {self._input: batch}))


def _make_ready(provider: Provider) -> None:
    """Load NVIDIA's libraries where pip has put them: the loader does not look there. What is missing is printed."""
    os.environ.update(provider.environment)
    if cache := provider.options.get("trt_engine_cache_path"):
        Path(cache).mkdir(parents=True, exist_ok=True)
    with redirect_stdout(sys.stderr):
        ort.preload_dlls()


def _load(path: Path, provider: Provider, intra_op_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    # Published files declare outputs of one batch or size and give others: that would be a warning at every run.
    options.log_severity_level = _ERRORS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    named = [(each.name, each.options) for each in (provider, *providers.beneath(provider))]
    # Its fallback is another: where a device fails, at start or in a later run, it goes on with the CPU.
    return ort.InferenceSession(str(path), options, providers=named, enable_fallback=0)


@contextmanager
def _told(refusal: str, provider: Provider) -> Iterator[None]:
    """Raise what onnxruntime raises where a provider does not work as a :class:`DeviceError`."""
    raised = ort.capi.onnxruntime_pybind11_state
    try:
        yield
    except (RuntimeError, raised.Fail, raised.EPFail, raised.RuntimeException, raised.NotImplemented) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(f"{refusal} ({reason}): {provider.remedy}") from error


def _nodes(session: ort.InferenceSession) -> list[Node]:
    assigned = session.get_provider_graph_assignment_info()
    return [Node(part.ep_name, node.op_type) for part in assigned for node in part.get_nodes()]
