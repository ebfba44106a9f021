"""A Ray cluster that embeds pictures: one actor per free core, to which the bytes are sent.

The nodes need this program and its packs, but neither the pictures nor a way to where they come from. An actor that
is lost, or its node, is started anew elsewhere and its pictures are embedded again. The only module that imports Ray.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from app.domain import CompareOptions, Embedding
from app.engine import open_pipelines, open_resources
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer
from app.packs.manifest import Pack
from app.packs.store import Store
from app.settings import AuthSettings
from app.tools.batch.checkpoint import BatchError, Outcome

if TYPE_CHECKING:
    from app.cli.batch import EmbeddingBackend

_PICTURE_S = 60.0
_EACH = 2
"""Pictures of each actor: one is embedded, the next is there already."""
_TRIES = 3
"""Of a picture whose actor is lost: with its node, or of this picture."""


class EmbeddingActor:
    """One core of the cluster, with models and a decoder of its own."""

    def __init__(self, settings: Settings, pack: Pack) -> None:
        from app.cli.batch import require_expected_embedder  # noqa: PLC0415 - it imports this module

        store = Store.from_settings(settings.models)
        if store.pack(pack.name) != pack:
            raise BatchError(f"a node of the cluster has another pack {pack.name}")
        one_core = settings.runtime.model_copy(update={"threads": 1})
        self._resources = ExitStack()  # closed with the process
        shared = self._resources.enter_context(
            open_resources(settings.model_copy(update={"runtime": one_core}), Metrics())
        ).shared
        self._embedding = require_expected_embedder(open_pipelines(settings, store, pack, shared), pack, settings)

    def outcome(self, data: bytes) -> Outcome:
        try:
            return self._embedding.embed(data, CompareOptions(), StageTimer.after(_PICTURE_S))
        except ApiError as error:
            return error.code


@asynccontextmanager
async def open_cluster(address: str, settings: Settings, pack: Pack) -> AsyncIterator[EmbeddingBackend]:
    """Open an actor on each free core of the cluster at ``address``; raise :class:`BatchError` without any."""
    from app.cli.batch import EmbeddingBackend  # noqa: PLC0415 - it imports this module

    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise BatchError("--ray takes the extra `ray`: pip install '.[ray]' in the checkout") from error
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise BatchError(f"there is no Ray cluster at {address}") from error
    try:
        number = int(ray.available_resources().get("CPU", 0))  # for a core that is taken an actor would wait
        if not number:
            raise BatchError(f"the cluster at {address} has no free core")
        known = settings.model_copy(update={"auth": AuthSettings()})  # keys stay here
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TRIES)(EmbeddingActor)
        actors = [actor.remote(known, pack) for _ in range(number)]
        yield EmbeddingBackend(partial(_embed, _Turns(actors)), _EACH * number)
    finally:
        ray.shutdown()


class _Turns:
    """Who is next: the actor with the fewest pictures under way."""

    def __init__(self, actors: list[Any]) -> None:
        self.actors = actors
        self.pending = [0] * len(actors)


async def _embed(turns: _Turns, data: bytes) -> Embedding:
    from ray.exceptions import RayError  # noqa: PLC0415

    place = turns.pending.index(min(turns.pending))
    turns.pending[place] += 1
    try:
        outcome: Outcome = await turns.actors[place].outcome.remote(data)
    except RayError as error:  # a node without the pack, say; above the last line there is a traceback of its
        raise BatchError(f"the cluster embeds no more: {str(error).strip().splitlines()[-1]}") from error
    finally:
        turns.pending[place] -= 1
    if isinstance(outcome, ErrorCode):
        raise ApiError(outcome)
    return outcome
