"""Engine: opens and closes all long-lived resources, and assembles models into pipelines.

The server, the command line and the offline tools open their models here. This module depends on no HTTP framework.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import cv2
import numpy as np

from app.domain import FaceModelVersion
from app.environment import Settings
from app.imaging.decoder_pool import DecoderPool
from app.imaging.fetch import Fetcher
from app.ops.metrics import Metrics
from app.packs.manifest import Pack, PackError
from app.packs.store import Store, require_fit, visibility_path
from app.runtime.batcher import batching_session
from app.runtime.providers import PROVIDERS
from app.runtime.session import OrtSession, Session
from app.runtime.worker_pool import (
    IMAGES_PER_COMPARISON,
    ThreadBudget,
    WorkerPool,
    available_cores,
    pinned_cpus,
    thread_budget,
)
from app.scoring import calibration
from app.scoring.calibration import Calibration, Status
from app.scoring.scale import Scale
from app.service.compare import CompareService
from app.service.detect import DetectService, FaceAnalyzer
from app.service.face_pipeline import EmbeddingPipeline, FaceDetectionPipeline
from app.service.quality_gate import QualityGate
from app.service.services import CalibrationInfo, EngineInfo, NetworkInfo, PopulationInfo, Services
from app.vision import int8_check
from app.vision.degradation import DegradationModel
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.quality.assessment import QualityAssessor
from app.vision.search import COARSE_SIDES, ROTATION_SIDES

_EXTREME_SIZES = ((64, 64), (4000, 4000), (4000, 64), (64, 4000))
"""(height, width) of the smallest, largest, tallest and widest accepted images."""


class Engine:
    """The use cases, and the state that the API reports: an ``EngineLike`` of ``app.api.gateway``."""

    def __init__(self, services: Services, workers: WorkerPool, metrics: Metrics, info: EngineInfo) -> None:
        self.services = services
        self.metrics = metrics
        self.info = info
        self._workers = workers

    def is_busy(self, arriving: int) -> bool:
        return self._workers.exceeds_workers(IMAGES_PER_COMPARISON * arriving)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Open all resources, and close them in reverse order; raise an ``OperatorError`` if that is impossible."""
        store, pack = Store.with_selected_pack(settings.models)
        metrics = Metrics()
        metrics.set_build_info(pack.name, settings.runtime.device, PROVIDERS[settings.runtime.device].name)
        shared = open_pooled_resources(settings, metrics)
        packs = _load_packs(settings, store, pack, shared)
        with shared.start() as workers:
            async with open_fetcher(settings, metrics) as fetcher:
                services = _services(settings, packs, fetcher, workers)
                yield cls(services, workers, metrics, _info(settings, packs, shared.budget))


@dataclass(frozen=True, slots=True)
class SharedResources:
    """Resources shared by the pipelines of all packs. Without ``decoders``, images are decoded in this process.

    ``cpus``: the CPUs of the worker threads, see ``pinned_cpus``.
    """

    budget: ThreadBudget
    assessor: QualityAssessor
    metrics: Metrics
    decoders: DecoderPool | None = None
    cpus: tuple[int, ...] = ()

    @contextmanager
    def start(self) -> Iterator[WorkerPool]:
        """Start the decoder processes and the worker threads; stop them at the end.

        Load the packs before this call: if loading fails, no process has been started.
        """
        with self.decoders or nullcontext(), WorkerPool(self.budget, self.cpus) as workers:
            yield workers


def open_pooled_resources(settings: Settings, metrics: Metrics) -> SharedResources:
    """Open the shared resources with a decoder pool and pinned CPUs, for a service or a batch; see ``start``."""
    cores = _cores(settings)
    shared = open_shared_resources(settings, metrics=metrics)
    cpus = pinned_cpus(cores, settings.runtime.device)
    decoders = DecoderPool(min(shared.budget.workers, cores), metrics.decoder_restarts.inc, cpus)
    return replace(shared, decoders=decoders, cpus=cpus)


def open_shared_resources(
    settings: Settings, budget: ThreadBudget | None = None, metrics: Metrics | None = None
) -> SharedResources:
    """Open the quality network, which belongs to no pack, on the configured device.

    Limit OpenCV to the ``intra_op`` threads of ``budget``, in the whole process. Default budget: that of a service.
    """
    budget = budget or thread_budget(_cores(settings), settings.runtime.device)
    cv2.setNumThreads(budget.intra_op)
    metrics = metrics or Metrics()
    session, _ = _open_network(settings, visibility_path(), budget, metrics)
    return SharedResources(budget, QualityAssessor(session), metrics)


def _cores(settings: Settings) -> int:
    return settings.runtime.threads or available_cores()


class Pipelines(NamedTuple):
    """The pipelines of one pack, and information about its opened model files by name."""

    detection: FaceDetectionPipeline
    embedding: EmbeddingPipeline
    analyzer: FaceAnalyzer
    networks: Mapping[str, NetworkInfo]


def open_pipelines(
    settings: Settings,
    store: Store,
    pack: Pack,
    shared: SharedResources,
    instrument: Callable[[Session], Session] = lambda session: session,
) -> Pipelines:
    """Open the models of a pack on the configured device; build its missing files first.

    ``instrument`` wraps the sessions of the detector and the embedder (``bench stages``). Raise ``PackError`` for an
    unknown detector family or a changed file, ``DeviceError`` for an unusable device.
    """
    if pack.detector.family not in DETECTORS:
        raise PackError(f"pack {pack.name!r} has the unknown detector family {pack.detector.family!r}")
    pack, files = store.prepare(pack, settings.runtime)
    networks: dict[str, NetworkInfo] = {}

    def open_file(name: str) -> Session:
        session, networks[name] = _open_network(settings, files[name], shared.budget, shared.metrics)
        return session

    detector = DETECTORS[pack.detector.family](instrument(open_file(pack.detector.file)), pack.detector)
    if settings.runtime.device != "cpu":
        _warm_up(detector)
    detection = FaceDetectionPipeline(detector, pack.detector, shared.decoders)
    file, session = int8_check.select_embedder_file(pack.embedder, settings.runtime, open_file)
    embedding = EmbeddingPipeline(
        detection,
        QualityGate(shared.assessor, settings.quality.policy),
        Embedder(instrument(session), pack.embedder, open_degradation_model(store, pack)),
        pack,
        settings.compare.matching_strategy,
    )
    analyzer = FaceAnalyzer(detection, shared.assessor, pack.detector.pitch_offset)
    return Pipelines(detection, embedding, analyzer, {name: networks[name] for name in (pack.detector.file, file)})


def open_degradation_model(store: Store, pack: Pack) -> DegradationModel | None:
    """Return the degradation model of ``pack``, None if it has none; raise ``PackError`` if it cannot be used."""
    path = store.degradation_path(pack)
    return DegradationModel.load(path, pack) if path else None


def _open_network(
    settings: Settings, path: Path, budget: ThreadBudget, metrics: Metrics
) -> tuple[Session, NetworkInfo]:
    """Open a model file on the configured device, with batching except on the CPU, where it saves no time."""
    session = OrtSession.open(path, settings.runtime.device, budget.intra_op)
    if settings.runtime.device == "cpu":
        return session, NetworkInfo(session.placement, max_batch_size=1)
    batching = batching_session(session, path.stem, metrics)
    return batching, NetworkInfo(session.placement, batching.max_batch_size)


def _warm_up(detector: Detector) -> None:
    """Detect on images of extreme sizes, so that no request waits for kernels or memory of the device."""
    for height, width in _EXTREME_SIZES:
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for side in (None, *{*COARSE_SIDES, *ROTATION_SIDES}):
            detector.detect(image, side)


class LoadedPack(NamedTuple):
    """A pack's pipelines and calibration. ``calibration_note`` informs the operator of an unusual calibration.

    ``unfit``: why the pack does not suit decisions about people, or "".
    """

    name: str
    pipelines: Pipelines
    calibration: Calibration
    calibration_note: str
    unfit: str


def _load_packs(
    settings: Settings, store: Store, pack: Pack, shared: SharedResources
) -> Mapping[FaceModelVersion, LoadedPack]:
    """Load ``pack``, and the pack configured for ``FaceModelVersion`` 2.0 if it is another one."""
    pack_2_0 = store.pack(settings.models.pack_2_0 or pack.name)
    loaded = _load_pack(settings, store, pack, shared)
    loaded_2_0 = loaded if pack_2_0.name == pack.name else _load_pack(settings, store, pack_2_0, shared)
    return {FaceModelVersion.V3: loaded, FaceModelVersion.V2: loaded_2_0}


def _load_pack(settings: Settings, store: Store, pack: Pack, shared: SharedResources) -> LoadedPack:
    """Load a pack; its calibration, which is small, is checked before the models are opened."""
    path = store.calibration_path(pack.name)
    measured = calibration.load(path, pack.embedder_sha256)
    table = measured.table(settings.compare.population)
    is_custom, status = path == store.custom_calibration_path(pack.name), measured.status()
    unfit = pack.unfit or ("" if status is Status.MEASURED else f"The calibration of the pack {pack.name} is {status}.")
    remedy = f"delete {path}, or measure more people" if is_custom and not pack.unfit else ""
    require_fit(pack, settings.models, unfit, remedy)
    custom_note = f"custom calibration on {table.data}, {measured.date}" if is_custom else ""
    note = "PROVISIONAL calibration, scores are estimates" if measured.is_provisional else custom_note
    return LoadedPack(pack.name, open_pipelines(settings, store, pack, shared), measured, note, unfit)


def _services(
    settings: Settings, packs: Mapping[FaceModelVersion, LoadedPack], fetcher: Fetcher, workers: WorkerPool
) -> Services:
    embedding = {version: loaded.pipelines.embedding for version, loaded in packs.items()}
    scales = {
        (version, population): Scale(table, version)
        for version, loaded in packs.items()
        for population, table in loaded.calibration.populations.items()
    }
    analyzers = {version: loaded.pipelines.analyzer for version, loaded in packs.items()}
    return Services(
        compare=CompareService(embedding, scales, settings.compare.population, fetcher, workers).compare,
        detect=DetectService(analyzers, fetcher, workers).detect,
    )


def _info(settings: Settings, by_version: Mapping[FaceModelVersion, LoadedPack], budget: ThreadBudget) -> EngineInfo:
    packs = {loaded.name: loaded for loaded in by_version.values()}
    return EngineInfo(
        pack=by_version[FaceModelVersion.V3].name,
        pack_is_automatic=settings.models.is_automatic,
        pack_of_version_2_0=by_version[FaceModelVersion.V2].name,
        device=settings.runtime.device,
        provider=PROVIDERS[settings.runtime.device].name,
        networks={name: loaded.pipelines.networks for name, loaded in packs.items()},
        worker_threads=budget.workers,
        threads_per_model_run=budget.intra_op,
        population=settings.compare.population,
        calibration={name: _calibration_info(loaded.calibration) for name, loaded in packs.items()},
        calibration_notes=[loaded.calibration_note for loaded in packs.values() if loaded.calibration_note],
        unfit={name: loaded.unfit for name, loaded in packs.items() if loaded.unfit},
    )


def _calibration_info(measured: Calibration) -> CalibrationInfo:
    populations = {
        population: PopulationInfo(
            measured.status(population).value,
            table.data,
            table.people,
            table.impostor_pairs,
            table.genuine_pairs,
            {group.name: group.people for group in table.groups},
        )
        for population, table in measured.populations.items()
    }
    return CalibrationInfo(measured.status().value, measured.date, populations)


def open_fetcher(settings: Settings, metrics: Metrics) -> Fetcher:
    """Return the downloader of images."""
    return Fetcher(settings.fetch, count_bytes=metrics.fetched_bytes.inc)
