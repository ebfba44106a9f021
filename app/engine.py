"""Engine: the one owner of everything long-lived, and the one place where models are assembled to pipelines.

``Engine.open(settings)`` opens everything in the order of dependency and closes it in reverse. It knows no HTTP
framework: the server, the command line, batches and clusters open their models here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from app.domain import FaceModelVersion
from app.environment import Settings, SettingsError
from app.imaging.decoder_pool import DecoderPool
from app.imaging.fetch import Fetcher
from app.ops.metrics import Metrics
from app.packs.manifest import Pack, PackError
from app.packs.store import Store, visibility_path
from app.runtime.batcher import batching_session
from app.runtime.providers import PROVIDERS
from app.runtime.session import OrtSession, Session
from app.runtime.worker_pool import ThreadBudget, WorkerPool, available_cores, pinned_cpus, thread_budget
from app.scoring import calibration
from app.scoring.calibration import Calibration
from app.scoring.scale import Scale
from app.service.compare import CompareService, ScoredPipeline
from app.service.detect import DetectService, FaceAnalyzer
from app.service.face_pipeline import EmbeddingPipeline, FaceDetectionPipeline
from app.service.quality_gate import QualityGate
from app.service.services import Services
from app.vision import int8_check
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.quality.assess import QualityAssessor
from app.vision.quality.visibility import Visibility
from app.vision.search import COARSE_SIDES, ROTATION_SIDES

_IMAGES_PER_REQUEST = 2
_EXTREME_SIZES = ((64, 64), (4000, 4000), (64, 4000), (4000, 64))
"""Height and width of the smallest and largest images, and of the widest and tallest."""


class Engine:
    """An opened engine."""

    def __init__(self, services: Services, workers: WorkerPool, metrics: Metrics, facts: Mapping[str, object]) -> None:
        self.services = services
        self.metrics = metrics
        self._workers = workers
        self._facts = facts

    def is_busy(self, arriving: int) -> bool:
        """Whether images queue for a worker, or will once ``arriving`` more requests are processed."""
        return self._workers.would_queue(_IMAGES_PER_REQUEST * arriving)

    def facts(self) -> Mapping[str, object]:
        """Return what runs: pack, device, nodes of each network per provider, threads, calibration."""
        return self._facts

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Engine]:
        """Open an engine; raise an ``OperatorError`` if it cannot work."""
        store, pack = Store.with_selected_pack(settings.models)
        pack_2_0 = store.pack(settings.models.pack_2_0) if settings.models.pack_2_0 else pack
        metrics = Metrics()
        metrics.set_build_info(pack.name, settings.runtime.device, PROVIDERS[settings.runtime.device].name)
        with open_resources(settings, metrics) as resources:
            distinct = {each.name: each for each in (pack, pack_2_0)}
            packs = {name: _load_pack(settings, store, each, resources) for name, each in distinct.items()}
            by_version = {FaceModelVersion.V3: packs[pack.name], FaceModelVersion.V2: packs[pack_2_0.name]}
            models = {version: loaded.scored(version) for version, loaded in by_version.items()}
            analyzers = {version: loaded.pipelines.analyzer for version, loaded in by_version.items()}
            async with open_fetcher(settings, metrics) as fetcher:
                services = Services(
                    compare=CompareService(models, fetcher, resources.workers).compare,
                    detect=DetectService(analyzers, fetcher, resources.workers).detect,
                )
                facts = _facts(settings, pack, pack_2_0, packs, resources.budget)
                yield cls(services, resources.workers, metrics, facts)


@dataclass(frozen=True, slots=True)
class SharedModels:
    """What the pipelines of all packs share. Without ``decoders`` images are decoded in this process."""

    budget: ThreadBudget
    assessor: QualityAssessor
    metrics: Metrics
    decoders: DecoderPool | None = None


class ServingResources(NamedTuple):
    """Threads and processes of a service, and what its pipelines share."""

    budget: ThreadBudget
    workers: WorkerPool
    shared: SharedModels


@contextmanager
def open_resources(settings: Settings, metrics: Metrics) -> Iterator[ServingResources]:
    """Start the worker threads and decoder processes, and open the quality network."""
    cores = settings.runtime.threads or available_cores()
    budget = thread_budget(cores, settings.runtime.device)
    cpus = pinned_cpus(cores, settings.runtime.device)
    decoders = DecoderPool(min(budget.workers, cores), metrics.record_decoder_restart, cpus)
    with decoders, WorkerPool(budget, cpus) as workers:
        yield ServingResources(budget, workers, open_shared_models(settings, budget, metrics, decoders))


def open_shared_models(
    settings: Settings, budget: ThreadBudget, metrics: Metrics | None = None, decoders: DecoderPool | None = None
) -> SharedModels:
    """Open the quality network on the configured device; it belongs to no pack."""
    cv2.setNumThreads(budget.intra_op)
    metrics = metrics or Metrics()
    network = _open_network(settings, visibility_path(), budget, metrics)
    return SharedModels(budget, QualityAssessor(Visibility(network.session)), metrics, decoders)


def open_local_pipelines(settings: Settings, store: Store, pack: Pack, budget: ThreadBudget) -> Pipelines:
    """Open a pack for offline use: images of the operator are decoded in this process."""
    return open_pipelines(settings, store, pack, open_shared_models(settings, budget))


class Network(NamedTuple):
    """An opened model file: items per run, and the number of nodes that each provider runs."""

    session: Session
    max_batch_size: int
    nodes: Mapping[str, int]


class Pipelines(NamedTuple):
    """The pipelines of one pack, and its opened files by name."""

    detection: FaceDetectionPipeline
    embedding: EmbeddingPipeline
    analyzer: FaceAnalyzer
    networks: Mapping[str, Network]


def open_pipelines(
    settings: Settings,
    store: Store,
    pack: Pack,
    shared: SharedModels,
    instrument: Callable[[Session], Session] = lambda session: session,
) -> Pipelines:
    """Open a pack's models on the configured device; its missing files are built first.

    ``instrument`` wraps the session of the detector and of the embedder (``bench stages``). Raise ``PackError`` for an
    unknown detector family or a changed file, ``DeviceError`` for a device that cannot be used.
    """
    if pack.detector.family not in DETECTORS:
        raise PackError(f"pack {pack.name!r} asks for the unknown detector family {pack.detector.family!r}")
    pack, files = store.prepare(pack, settings.runtime)
    networks: dict[str, Network] = {}

    def open_file(name: str) -> Session:
        networks[name] = _open_network(settings, files[name], shared.budget, shared.metrics)
        return networks[name].session

    session = open_file(pack.detector.file)
    detector = DETECTORS[pack.detector.family](instrument(session), pack.detector)
    if settings.runtime.device != "cpu":
        _warm_up(detector)
    detection = FaceDetectionPipeline(detector, pack.detector, shared.decoders)
    file, session = int8_check.select_embedder_file(pack.embedder, settings.runtime, open_file)
    embedding = EmbeddingPipeline(
        detection,
        QualityGate(shared.assessor, settings.quality.policy),
        Embedder(instrument(session), pack.embedder),
        pack,
        settings.compare.matching_strategy,
    )
    analyzer = FaceAnalyzer(detection, shared.assessor, pack.detector.pitch_offset)
    return Pipelines(detection, embedding, analyzer, {name: networks[name] for name in (pack.detector.file, file)})


def _open_network(settings: Settings, path: Path, budget: ThreadBudget, metrics: Metrics) -> Network:
    """Open a file on the configured device. On the CPU batches save no time, so none are formed."""
    session = OrtSession.open(path, settings.runtime.device, budget.intra_op)
    if settings.runtime.device == "cpu":
        return Network(session, 1, session.placement)
    batching = batching_session(session, path.stem, metrics)
    return Network(batching, batching.max_batch_size, session.placement)


def _warm_up(detector: Detector) -> None:
    """Run the extreme input sizes once, so that no request waits for kernels or memory of the device."""
    for height, width in _EXTREME_SIZES:
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for side in (None, *{*COARSE_SIDES, *ROTATION_SIDES}):
            detector.detect(image, side)


class LoadedPack(NamedTuple):
    """The pipelines of a pack and what its cosines mean. ``note`` is for the operator."""

    pipelines: Pipelines
    calibration: Calibration
    note: str

    def scored(self, version: FaceModelVersion) -> ScoredPipeline:
        return ScoredPipeline(self.pipelines.embedding, Scale(self.calibration, version))


def _load_pack(settings: Settings, store: Store, pack: Pack, resources: ServingResources) -> LoadedPack:
    pipelines = open_pipelines(settings, store, pack, resources.shared)
    path = store.calibration_path(pack.name)
    table = calibration.load(path, pack.embedder_sha256)
    note = f"own calibration on {table.data}, {table.date}" if path == store.custom_calibration_path(pack.name) else ""
    if table.status == "provisional":
        note = "PROVISIONAL calibration, scores are estimates"
    return LoadedPack(pipelines, table, note)


def _facts(
    settings: Settings, pack: Pack, pack_2_0: Pack, packs: Mapping[str, LoadedPack], budget: ThreadBudget
) -> Mapping[str, object]:
    return {
        "pack": pack.name,
        "pack_is_automatic": settings.models.is_automatic,
        "pack_2_0": pack_2_0.name,
        "device": settings.runtime.device,
        "provider": PROVIDERS[settings.runtime.device].name,
        "networks": {
            name: {
                file: {"nodes": network.nodes, "max_batch_size": network.max_batch_size}
                for file, network in loaded.pipelines.networks.items()
            }
            for name, loaded in packs.items()
        },
        "workers": budget.workers,
        "intra_op_threads": budget.intra_op,
        "calibration": {
            name: {"status": table.status, "data": table.data, "date": table.date}
            for name, (_, table, _) in packs.items()
        },
        "calibration_notes": [loaded.note for loaded in packs.values() if loaded.note],
    }


def open_fetcher(settings: Settings, metrics: Metrics) -> Fetcher:
    """Return the fetcher of images named by URL; raise ``SettingsError`` for malformed settings."""
    try:
        return Fetcher(settings.fetch, count=metrics.record_fetched_bytes)
    except ValueError as error:
        raise SettingsError(f"COMPAREFACE_FETCH__ALLOW: {error}") from error
