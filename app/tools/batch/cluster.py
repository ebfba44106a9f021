"""The embedding backend on a Ray cluster: one actor per free core, which receives encoded images.

The nodes need this program and its packs, but no access to the images. Ray restarts a lost actor on another node and
embeds its images again. This is the only module that imports Ray.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from app.engine import open_pooled_resources
from app.environment import Settings
from app.ops.metrics import Metrics
from app.packs.manifest import Pack
from app.packs.store import Store
from app.settings import AuthSettings
from app.tools.batch.backend import EmbeddingBackend, open_pipeline
from app.tools.batch.checkpoint import BatchError
from app.tools.embedding import Outcome, embed

_IMAGES_PER_ACTOR = 2
"""While an actor embeds one image, Ray sends it the next."""
_TASK_RETRIES = 3
"""Retries of an image whose actor was lost."""


class EmbeddingActor:
    """The models and the decoder process of one core."""

    def __init__(self, settings: Settings, pack: Pack) -> None:
        store = Store.from_settings(settings.models)
        if store.pack(pack.name) != pack:
            raise BatchError(f"a node of the cluster has another pack {pack.name}")
        one_core = settings.runtime.model_copy(update={"threads": 1})
        shared = open_pooled_resources(settings.model_copy(update={"runtime": one_core}), Metrics())
        self._pipeline = open_pipeline(settings, store, pack, shared)
        self._started = shared.start()
        self._started.__enter__()  # never closed: the decoder process ends with the actor's process

    def embed(self, encoded: bytes) -> Outcome:
        return embed(self._pipeline, encoded)


@contextmanager
def open_cluster(address: str, settings: Settings, pack: Pack) -> Iterator[EmbeddingBackend]:
    """Open an actor on each free core of the cluster at ``address``; raise :class:`BatchError` if there is none."""
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise BatchError(f"there is no Ray cluster at {address}") from error
    try:
        cores = int(ray.available_resources().get("CPU", 0))  # more actors would wait for cores that are in use
        if not cores:
            raise BatchError(f"the cluster at {address} has no free core")
        without_keys = settings.model_copy(update={"auth": AuthSettings()})
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TASK_RETRIES)(EmbeddingActor)
        actors = [actor.remote(without_keys, pack) for _ in range(cores)]
        yield EmbeddingBackend(_IMAGES_PER_ACTOR * cores, _ActorPool(actors).embed)
    finally:
        ray.shutdown()


class _ActorPool:
    """Sends each image to the actor with the fewest pending images."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors = actors
        self._pending = [0] * len(actors)

    async def embed(self, encoded: bytes) -> Outcome:
        index = self._pending.index(min(self._pending))
        self._pending[index] += 1
        try:
            outcome: Outcome = await self._actors[index].embed.remote(encoded)
        except RayError as error:  # such as a node without the pack; its message ends with the cause
            raise BatchError(f"the cluster failed: {str(error).strip().splitlines()[-1]}") from error
        finally:
            self._pending[index] -= 1
        return outcome
