"""What an engine offers the API: the use cases, and information about itself. Types only."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.domain import CompareOptions, Comparison, DetectionResult, DetectOptions, ImageRef, Population
from app.ops.stage_timer import StageTimer


@dataclass(frozen=True, slots=True)
class Services:
    """One field per use case; ``engine._services`` constructs them."""

    compare: Callable[[ImageRef, ImageRef, CompareOptions, StageTimer], Awaitable[Comparison]]
    detect: Callable[[ImageRef, DetectOptions, StageTimer], Awaitable[DetectionResult]]


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """An opened model file: how many nodes of its graph each execution provider runs, and the largest batch."""

    nodes_by_provider: Mapping[str, int]
    max_batch_size: int


@dataclass(frozen=True, slots=True)
class PopulationInfo:
    """The data of one population: its source, people and pairs.

    ``status``: ``measured``, ``partly extrapolated`` (a threshold is not measured, for lack of people) or
    ``provisional`` (the scores are estimates). ``groups``: the number of people in each group (for example women, men)
    whose impostor pairs were counted separately; empty if there are none.
    """

    status: str
    data: str
    people: int
    impostor_pairs: int
    genuine_pairs: int
    groups: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CalibrationInfo:
    """The calibration of a pack. ``status``: that of the population ``general``."""

    status: str
    date: str
    populations: Mapping[Population, PopulationInfo]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """An opened engine, as ``/version`` reports it. ``networks``: by pack and file; ``calibration``: by pack.

    ``pack_is_automatic``: the installed files determined ``pack``. ``pack_of_version_2_0``: the pack of
    ``FaceModelVersion`` 2.0. ``population``: that of callers that select none. ``unfit``: by pack, why its scores do
    not suit decisions about people; empty if all packs are fit. ``calibration_notes``: a note per pack with a
    provisional or custom calibration. ``worker_threads``: the number of images that
    one server process works on at a time.
    """

    pack: str
    pack_is_automatic: bool
    pack_of_version_2_0: str
    device: str
    provider: str
    networks: Mapping[str, Mapping[str, NetworkInfo]]
    worker_threads: int
    threads_per_model_run: int
    population: Population
    calibration: Mapping[str, CalibrationInfo]
    calibration_notes: Sequence[str]
    unfit: Mapping[str, str]

    @property
    def default_population_info(self) -> PopulationInfo:
        """The data of the default population, for the pack of version 3.0."""
        return self.calibration[self.pack].populations[self.population]

    @property
    def populations(self) -> frozenset[Population]:
        """The populations that the calibrations of all packs have."""
        return frozenset(Population).intersection(*(info.populations for info in self.calibration.values()))
