"""The interface of embedding backends, and the backend that uses the cores of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.domain import CompareOptions, Embedding
from app.engine import Pipelines, open_pipelines, open_resources
from app.environment import Settings
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.worker_pool import WorkerPool
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.batch.checkpoint import BatchError

_IMAGE_DEADLINE_S = 60.0


class EmbeddingBackend(Protocol):
    """Embeds encoded images on this machine or on a cluster."""

    @property
    def concurrency(self) -> int:
        """Number of images that are embedded at the same time."""

    async def embed(self, encoded: bytes) -> Embedding:
        """Return the embedding of the target face; raise ``ApiError`` if there is none."""


def require_expected_embedder(pipelines: Pipelines, pack: Pack, settings: Settings) -> EmbeddingPipeline:
    """Return the embedding pipeline; raise :class:`BatchError` if it runs another model than the rest of the batch.

    The engine replaces an int8 model that is not accurate on this machine.
    """
    file = pack.embedder.file_for(settings.runtime)
    if file not in pipelines.networks:
        raise BatchError(
            f"{file} cannot be used on this machine, see the log; COMPAREFACE_RUNTIME__INT8=false selects another model"
        )
    return pipelines.embedding


def embed_within_deadline(pipeline: EmbeddingPipeline, encoded: bytes) -> Embedding:
    return pipeline.embed(encoded, CompareOptions(), StageTimer.after(_IMAGE_DEADLINE_S))


@dataclass(frozen=True, slots=True)
class _LocalBackend:
    pipeline: EmbeddingPipeline
    workers: WorkerPool
    concurrency: int

    async def embed(self, encoded: bytes) -> Embedding:
        return await self.workers.run(lambda: embed_within_deadline(self.pipeline, encoded))


@contextmanager
def open_local_backend(settings: Settings, store: Store, pack: Pack) -> Iterator[EmbeddingBackend]:
    """Open the pack on the cores of this machine; images are decoded in separate processes, which may crash."""
    resources = open_resources(settings, Metrics())
    pipeline = require_expected_embedder(open_pipelines(settings, store, pack, resources.shared), pack, settings)
    with resources.started_workers() as workers:
        yield _LocalBackend(pipeline, workers, resources.shared.budget.workers)
