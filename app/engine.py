"""Engine: the one owner of everything long-lived: threads, sessions, the fetcher.

``Engine.open(settings)`` opens it all in dependency order and closes it in reverse. It knows no HTTP framework, so
the command line uses the same engine as the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from app.config import Settings, SettingsError
from app.domain import FaceModelVersion
from app.imaging.decoders import Decoders
from app.imaging.fetch import Fetcher
from app.ops.metrics import Metrics
from app.packs.manifest import Pack, PackError
from app.packs.store import Store, visibility_path
from app.runtime.batcher import batched
from app.runtime.providers import PROVIDERS
from app.runtime.session import OrtSession, Session
from app.runtime.threads import ThreadBudget, Workers, available_cores, own_cores, thread_budget
from app.scoring import calibration
from app.scoring.calibration import Calibration
from app.scoring.scale import Scale
from app.service.compare import CompareService, Model
from app.service.detect import DetectService
from app.service.examine import Examiner
from app.service.judge import Judge
from app.service.look import Looker
from app.service.recognise import Recogniser
from app.vision import proof
from app.vision.detect import DETECTORS
from app.vision.detect.base import Detector
from app.vision.embed import Embedder
from app.vision.quality.assess import Assessor
from app.vision.quality.visibility import Visibility
from app.vision.search import COARSE, UPRIGHT

_PICTURES = 2
"""Of a comparison."""
_EXTREMES = ((64, 64), (4000, 4000), (64, 4000), (4000, 64))
"""Height and width of the smallest and largest pictures, and of the longest and tallest."""


class Services:
    """The use cases, as the wire calls them."""

    def __init__(self, compare: CompareService, detect: DetectService) -> None:
        self.compare = compare.compare
        self.detect = detect.detect


class Engine:
    """What the outside sees of an opened engine."""

    def __init__(self, service: Services, workers: Workers, metrics: Metrics, facts: Mapping[str, object]) -> None:
        self.service = service
        self.metrics = metrics
        self._workers = workers
        self._facts = facts

    def is_busy(self, arriving: int) -> bool:
        """Whether pictures wait for a worker, or will once so many requests more are at work."""
        return self._workers.would_wait(_PICTURES * arriving)

    def facts(self) -> Mapping[str, object]:
        """What is running: pack, device, provider and its share of each network, threads, calibration."""
        return self._facts

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Engine]:
        """Open an engine; raise ``*Error`` with a text for the operator when it cannot work."""
        cores = settings.runtime.threads or available_cores()
        budget = thread_budget(cores, settings.runtime.device)
        store, pack = Store.configured(settings.models)
        other = store.pack(settings.models.pack_2_0) if settings.models.pack_2_0 else pack
        names = {FaceModelVersion.V3: pack.name, FaceModelVersion.V2: other.name}
        distinct = {each.name: each for each in (pack, other)}
        metrics = Metrics()
        metrics.about(pack.name, settings.runtime.device, PROVIDERS[settings.runtime.device].name)
        assessor = open_assessor(settings, budget, metrics)
        own = own_cores(cores, settings.runtime.device)
        serving = Serving(Decoders(min(budget.workers, cores), metrics.restarted, own), metrics)
        opened = {name: _open_pack(settings, store, each, budget, assessor, serving) for name, each in distinct.items()}
        models = {
            version: Model(opened[name].pipelines.recogniser, Scale(opened[name].calibration, version))
            for version, name in names.items()
        }
        examiners = {version: opened[name].pipelines.examiner for version, name in names.items()}
        with serving.decoders, Workers(budget, own) as workers:
            async with open_fetcher(settings, metrics) as fetcher:
                yield cls(
                    Services(CompareService(models, fetcher, workers), DetectService(examiners, fetcher, workers)),
                    workers,
                    metrics,
                    {
                        "pack": pack.name,
                        "pack_is_automatic": settings.models.is_automatic,
                        "pack_2_0": other.name,
                        "device": settings.runtime.device,
                        "provider": PROVIDERS[settings.runtime.device].name,
                        "networks": {name: _networks(each.pipelines) for name, each in opened.items()},
                        "workers": budget.workers,
                        "intra_op_threads": budget.intra_op,
                        "calibration": {name: _about(each.calibration) for name, each in opened.items()},
                        "calibration_notes": [each.note for each in opened.values() if each.note],
                    },
                )


class Serving(NamedTuple):
    """What pipelines have that serve strangers: who decodes their pictures, and who counts."""

    decoders: Decoders
    metrics: Metrics


class Network(NamedTuple):
    """An opened model file: how many items run together, and how many of its nodes each provider runs."""

    session: Session
    most_together: int
    nodes: Mapping[str, int]


class Pipelines(NamedTuple):
    """What the models of one pack do, and the opened files by name."""

    looker: Looker
    recogniser: Recogniser
    examiner: Examiner
    networks: Mapping[str, Network]


class _Opened(NamedTuple):
    pipelines: Pipelines
    calibration: Calibration
    note: str


def _open_pack(
    settings: Settings, store: Store, pack: Pack, budget: ThreadBudget, assessor: Assessor, serving: Serving
) -> _Opened:
    pipelines = open_pipelines(settings, store, pack, budget, assessor, serving)
    path = store.calibration_path(pack.name)
    of = calibration.load(path, pack.embedder_sha256)
    note = f"own calibration on {of.data}, {of.date}" if path == store.own_calibration_path(pack.name) else ""
    if of.status == "provisional":
        note = "PROVISIONAL calibration, scores are estimates"
    return _Opened(pipelines, of, note)


def _networks(of: Pipelines) -> Mapping[str, Mapping[str, object]]:
    return {
        file: {"nodes": network.nodes, "most_together": network.most_together} for file, network in of.networks.items()
    }


def _about(of: Calibration) -> Mapping[str, str]:
    return {"status": of.status, "data": of.data, "date": of.date}


def open_fetcher(settings: Settings, metrics: Metrics) -> Fetcher:
    """Return what fetches pictures by address; raise ``SettingsError`` where its settings are malformed."""
    try:
        return Fetcher(settings.fetch, count=metrics.fetched)
    except ValueError as error:
        raise SettingsError(f"COMPAREFACE_FETCH__ALLOW: {error}") from error


def open_assessor(settings: Settings, budget: ThreadBudget, metrics: Metrics | None = None) -> Assessor:
    """Open the network that judges quality, on the configured device; it belongs to no pack."""
    network = _open_network(settings, visibility_path(), budget, metrics or Metrics())
    return Assessor(Visibility(network.session))


def open_pipelines(
    settings: Settings,
    store: Store,
    pack: Pack,
    budget: ThreadBudget,
    assessor: Assessor,
    serving: Serving | None = None,
) -> Pipelines:
    """Open the pack's models on the configured device; without ``serving`` pictures are decoded in this process.

    At first use the pack's files are made; a file that has been changed is an error.
    """
    if pack.detector.family not in DETECTORS:
        raise PackError(f"pack {pack.name!r} asks for the unknown detector family {pack.detector.family!r}")
    cv2.setNumThreads(budget.intra_op)
    pack, files = store.ready(pack, settings.runtime)
    metrics = serving.metrics if serving else Metrics()
    networks: dict[str, Network] = {}

    def open_file(name: str) -> Session:
        networks[name] = _open_network(settings, files[name], budget, metrics)
        return networks[name].session

    detector = DETECTORS[pack.detector.family](open_file(pack.detector.file), pack.detector)
    if settings.runtime.device != "cpu":
        _warm_up(detector)
    looker = Looker(detector, pack.detector, serving.decoders if serving else None)
    file, session = proof.choose(pack.embedder, settings.runtime, open_file)
    recogniser = Recogniser(
        looker,
        Judge(assessor, settings.quality.policy),
        Embedder(session, pack.embedder),
        pack,
        settings.compare.matching_strategy,
    )
    examiner = Examiner(looker, assessor, pack.detector.level_pitch)
    return Pipelines(looker, recogniser, examiner, {name: networks[name] for name in (pack.detector.file, file)})


def _open_network(settings: Settings, path: Path, budget: ThreadBudget, metrics: Metrics) -> Network:
    """Open a file on the configured device. On the CPU a batch takes as long as its items, so none is waited for."""
    session = OrtSession.open(path, settings.runtime.device, budget.intra_op)
    if settings.runtime.device == "cpu":
        return Network(session, 1, session.placement)
    together = batched(session, path.stem, metrics)
    return Network(together, together.most_together, session.placement)


def _warm_up(detector: Detector) -> None:
    """Let the device meet all sizes of input between the extremes, so that no request waits for kernels or memory."""
    for height, width in _EXTREMES:
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for side in (None, *{*COARSE, *UPRIGHT}):
            detector.detect(image, side)


def open_recogniser(settings: Settings, store: Store, pack: Pack, budget: ThreadBudget) -> tuple[Recogniser, str]:
    """Open what measurements need: the pipeline of a pack, and the name of its provider."""
    pipelines = open_pipelines(settings, store, pack, budget, open_assessor(settings, budget))
    return pipelines.recogniser, PROVIDERS[settings.runtime.device].name
