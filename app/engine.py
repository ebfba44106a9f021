"""Engine: the one owner of everything long-lived: threads, sessions, the fetcher.

``Engine.open(settings)`` opens it all in dependency order and closes it in reverse. It knows no HTTP framework, so
the command line uses the same engine as the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import cv2

from app.config import Settings, SettingsError
from app.domain import FaceModelVersion
from app.imaging.decoders import Decoders
from app.imaging.fetch import Fetcher
from app.packs.manifest import Pack, PackError
from app.packs.store import Store, visibility_path
from app.runtime.session import OrtSession
from app.runtime.threads import ThreadBudget, Workers, available_cores, thread_budget
from app.scoring import calibration
from app.scoring.calibration import Calibration
from app.scoring.scale import Scale
from app.service.compare import CompareService, Model
from app.service.detect import DetectService
from app.service.examine import Examiner
from app.service.judge import Judge
from app.service.look import Looker
from app.service.recognise import Recogniser
from app.vision.detect import DETECTORS
from app.vision.embed import Embedder
from app.vision.quality.assess import Assessor
from app.vision.quality.visibility import Visibility


class Services:
    """The use cases, as the wire calls them."""

    def __init__(self, compare: CompareService, detect: DetectService) -> None:
        self.compare = compare.compare
        self.detect = detect.detect


class Engine:
    """What the outside sees of an opened engine."""

    def __init__(self, service: Services, workers: Workers, facts: Mapping[str, object]) -> None:
        self.service = service
        self._workers = workers
        self._facts = facts

    def is_busy(self) -> bool:
        """Whether at least as many pictures wait for a worker as there are workers."""
        return self._workers.is_busy

    def facts(self) -> Mapping[str, object]:
        """What is running: pack, device, provider, threads, calibration."""
        return self._facts

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Engine]:
        """Open an engine; raise ``*Error`` with a text for the operator when it cannot work."""
        budget = thread_budget(settings.runtime.threads or available_cores())
        store, pack = Store.configured(settings.models)
        other = store.pack(settings.models.pack_2_0) if settings.models.pack_2_0 else pack
        names = {FaceModelVersion.V3: pack.name, FaceModelVersion.V2: other.name}
        distinct = {each.name: each for each in (pack, other)}
        assessor = open_assessor(settings, budget)
        decoders = Decoders(budget.workers)
        opened = {
            name: _open_pack(settings, store, each, budget, assessor, decoders) for name, each in distinct.items()
        }
        models = {
            version: Model(opened[name].pipelines.recogniser, Scale(opened[name].calibration, version))
            for version, name in names.items()
        }
        examiners = {version: opened[name].pipelines.examiner for version, name in names.items()}
        with decoders, Workers(budget) as workers:
            async with _fetcher(settings) as fetcher:
                yield cls(
                    Services(CompareService(models, fetcher, workers), DetectService(examiners, fetcher, workers)),
                    workers,
                    {
                        "pack": pack.name,
                        "pack_is_automatic": settings.models.is_automatic,
                        "pack_2_0": other.name,
                        "device": settings.runtime.device,
                        "provider": opened[pack.name].pipelines.provider,
                        "workers": budget.workers,
                        "intra_op_threads": budget.intra_op,
                        "calibration": {name: _about(each.calibration) for name, each in opened.items()},
                        "calibration_notes": [each.note for each in opened.values() if each.note],
                    },
                )


class Pipelines(NamedTuple):
    """What the models of one pack do, and the name of their provider."""

    looker: Looker
    recogniser: Recogniser
    examiner: Examiner
    provider: str


class _Opened(NamedTuple):
    pipelines: Pipelines
    calibration: Calibration
    note: str


def _open_pack(
    settings: Settings, store: Store, pack: Pack, budget: ThreadBudget, assessor: Assessor, decoders: Decoders
) -> _Opened:
    pipelines = open_pipelines(settings, store, pack, budget, assessor, decoders)
    path = store.calibration_path(pack.name)
    of = calibration.load(path, pack.embedder_sha256)
    note = f"own calibration on {of.data}, {of.date}" if path == store.own_calibration_path(pack.name) else ""
    if of.status == "provisional":
        note = "PROVISIONAL calibration, scores are estimates"
    return _Opened(pipelines, of, note)


def _about(of: Calibration) -> Mapping[str, str]:
    return {"status": of.status, "data": of.data, "date": of.date}


def _fetcher(settings: Settings) -> Fetcher:
    try:
        return Fetcher(settings.fetch)
    except ValueError as error:
        raise SettingsError(f"COMPAREFACE_FETCH__ALLOW: {error}") from error


def open_assessor(settings: Settings, budget: ThreadBudget) -> Assessor:
    """Open the network that judges quality, on the configured device; it belongs to no pack."""
    return Assessor(Visibility(OrtSession.open(visibility_path(), settings.runtime.device, budget.intra_op)))


def open_pipelines(
    settings: Settings,
    store: Store,
    pack: Pack,
    budget: ThreadBudget,
    assessor: Assessor,
    decoders: Decoders | None = None,
) -> Pipelines:
    """Open the pack's models on the configured device; without ``decoders`` pictures are decoded in this process.

    At first use the pack's files are made; a file that has been changed is an error.
    """
    if pack.detector.family not in DETECTORS:
        raise PackError(f"pack {pack.name!r} asks for the unknown detector family {pack.detector.family!r}")
    cv2.setNumThreads(budget.intra_op)
    store.prepare_missing(pack)
    files = store.resolve(pack)
    device = settings.runtime.device
    detector = OrtSession.open(files[pack.detector.file], device, budget.intra_op)
    embedder = OrtSession.open(files[pack.embedder.file], device, budget.intra_op)
    looker = Looker(DETECTORS[pack.detector.family](detector, pack.detector), pack.detector, decoders)
    recogniser = Recogniser(
        looker,
        Judge(assessor, settings.quality.policy),
        Embedder(embedder, pack.embedder),
        pack,
        settings.compare.matching_strategy,
    )
    return Pipelines(looker, recogniser, Examiner(looker, assessor, pack.detector.level_pitch), detector.provider)


def open_recogniser(settings: Settings, store: Store, pack: Pack, budget: ThreadBudget) -> tuple[Recogniser, str]:
    """Open what measurements need: the pipeline of a pack, and the name of its provider."""
    pipelines = open_pipelines(settings, store, pack, budget, open_assessor(settings, budget))
    return pipelines.recogniser, pipelines.provider
