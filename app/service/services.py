"""What an engine offers the API: the use cases, and information about itself. Types only."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.domain import CompareOptions, Comparison, DetectionResult, DetectOptions, ImageRef
from app.ops.stage_timer import StageTimer


@dataclass(frozen=True, slots=True)
class Services:
    """One field per use case; ``engine._services`` constructs them."""

    compare: Callable[[ImageRef, ImageRef, CompareOptions, StageTimer], Awaitable[Comparison]]
    detect: Callable[[ImageRef, DetectOptions, StageTimer], Awaitable[DetectionResult]]


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """An opened model file: its nodes per provider, and the largest batch."""

    nodes: Mapping[str, int]
    max_batch_size: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """An opened engine, as ``/version`` reports it. ``networks``: by pack and file; ``calibration``: by pack.

    ``pack_is_automatic``: the installed files determined ``pack``. ``pack_2_0``: the pack of ``FaceModelVersion`` 2.0.
    """

    pack: str
    pack_is_automatic: bool
    pack_2_0: str
    device: str
    provider: str
    networks: Mapping[str, Mapping[str, NetworkInfo]]
    workers: int
    intra_op_threads: int
    calibration: Mapping[str, Mapping[str, str]]
    calibration_notes: Sequence[str]
