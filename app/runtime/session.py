"""A model file opened for inference. The only module that imports onnxruntime."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np

# onnxruntime's telemetry is on by default: at import it writes a device id into the user's cache and resolves
# Microsoft's collector. `disable_telemetry_events()` can only be called after that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from numpy.typing import NDArray

from app.runtime import providers
from app.runtime.providers import DeviceError, Node, Provider

Tensor = NDArray[np.float32]

_LOG_ERRORS = 3  # onnxruntime's log level
_DYNAMIC_SIDE = 64  # pixels, for sides that the file leaves open: a multiple of every detector's stride


class Session(Protocol):
    """A model with one input. Thread-safe."""

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, float32 with N as its first dimension; return the model's outputs in the file's order."""


class OrtSession:
    """An onnxruntime session on exactly the requested device."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        model_input = session.get_inputs()[0]
        self._input = model_input.name
        batch, *sides = model_input.shape
        self.max_batch_size: int | None = batch if isinstance(batch, int) else None
        """Items per run if the file fixes the batch size, else None."""
        self.item_shape = tuple(side if isinstance(side, int) else _DYNAMIC_SIDE for side in sides)
        """The shape of one input item, without the batch dimension."""

    @classmethod
    def open(cls, path: Path, device: str, intra_op_threads: int) -> Self:
        """Load ``path``; raise :class:`DeviceError` if ``device`` would not be used."""
        providers.check_build(providers.installed_builds(), is_complete=hasattr(ort, "InferenceSession"))
        provider = providers.select_provider(device, ort.get_available_providers())
        if device != "cpu":
            _load_gpu_libraries(provider)
        failure = f"device {device!r} cannot run {path.name}"
        with _translate_ort_errors(failure, provider):
            session = cls(_load(path, provider, intra_op_threads))
        if session._session.get_providers()[0] != provider.name:
            raise DeviceError(f"{failure}: {provider.remedy}")
        providers.check_placement(device, path.name, _nodes(session._session))
        if device != "cpu":
            with _translate_ort_errors(failure, provider):  # a GPU too old for CUDA's kernels fails only in a run
                session.run(np.zeros((session.max_batch_size or 1, *session.item_shape), dtype=np.float32))
        return session

    @property
    def placement(self) -> dict[str, int]:
        """The number of nodes that each provider runs."""
        return dict(Counter(node.provider for node in _nodes(self._session)))

    def run(self, batch: Tensor) -> list[Tensor]:
        """Run ``batch``, split into several runs if the file fixes a smaller batch size."""
        size = self.max_batch_size
        if not size or len(batch) <= size:
            return self._run(batch)
        parts = [self._run(batch[start : start + size]) for start in range(0, len(batch), size)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _run(self, batch: Tensor) -> list[Tensor]:
        return cast("list[Tensor]", self._session.run(None, {self._input: batch}))


def _load_gpu_libraries(provider: Provider) -> None:
    """Load NVIDIA's libraries from pip packages, which the dynamic loader does not search; print missing ones."""
    os.environ.update(provider.environment)
    if cache := provider.options.get("trt_engine_cache_path"):
        Path(cache).mkdir(parents=True, exist_ok=True)
    with redirect_stdout(sys.stderr):
        ort.preload_dlls()


def _load(path: Path, provider: Provider, intra_op_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    # Published files declare output shapes for one batch and image size. onnxruntime would warn about all others.
    options.log_severity_level = _LOG_ERRORS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    entries = [provider, *(providers.PROVIDERS[device] for device in provider.fallbacks)]
    # onnxruntime's own fallback would continue on the CPU after any failure of the device.
    return ort.InferenceSession(
        str(path), options, providers=[(entry.name, entry.options) for entry in entries], enable_fallback=0
    )


@contextmanager
def _translate_ort_errors(failure: str, provider: Provider) -> Iterator[None]:
    """Raise errors of onnxruntime as :class:`DeviceError`."""
    state = ort.capi.onnxruntime_pybind11_state
    try:
        yield
    except (RuntimeError, state.Fail, state.EPFail, state.RuntimeException, state.NotImplemented) as error:
        reason = str(error).strip().splitlines()[0]
        raise DeviceError(f"{failure} ({reason}): {provider.remedy}") from error


def _nodes(session: ort.InferenceSession) -> list[Node]:
    subgraphs = session.get_provider_graph_assignment_info()
    return [Node(subgraph.ep_name, node.op_type) for subgraph in subgraphs for node in subgraph.get_nodes()]
