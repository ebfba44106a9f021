"""The interface of embedding backends, and the backend that uses the cores of this machine."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app.engine import SharedResources, open_pipelines, open_pooled_resources
from app.environment import Settings
from app.ops.metrics import Metrics
from app.packs.manifest import Pack
from app.packs.store import Store
from app.service.face_pipeline import EmbeddingPipeline
from app.tools.batch.checkpoint import BatchError
from app.tools.embedding import Outcome, embed


class EmbeddingBackend(NamedTuple):
    """Embeds the target faces of encoded images on this machine or on a cluster, ``concurrency`` at the same time."""

    concurrency: int
    embed: Callable[[bytes], Awaitable[Outcome]]


def open_pipeline(settings: Settings, store: Store, pack: Pack, shared: SharedResources) -> EmbeddingPipeline:
    """Open the pack; raise :class:`BatchError` if the engine replaces its int8 model, which is inaccurate on some CPUs.

    All images of a batch need the same model.
    """
    pipelines = open_pipelines(settings, store, pack, shared)
    file = pack.embedder.file_for(settings.runtime)
    if file not in pipelines.networks:
        raise BatchError(
            f"{file} cannot be used on this machine, see the log; COMPAREFACE_RUNTIME__INT8=false selects another model"
        )
    return pipelines.embedding


@contextmanager
def open_local_backend(settings: Settings, store: Store, pack: Pack) -> Iterator[EmbeddingBackend]:
    """Open the pack on the cores of this machine; images are decoded in separate processes, which may crash."""
    shared = open_pooled_resources(settings, Metrics())
    pipeline = open_pipeline(settings, store, pack, shared)
    with shared.start() as workers:
        yield EmbeddingBackend(shared.budget.workers, lambda encoded: workers.run(embed, pipeline, encoded))
