"""A Ray cluster that embeds pictures: one actor per free core, to which the bytes are sent.

The nodes need this program and its packs, but neither the pictures nor a way to where they come from. An actor that
is lost, or its node, is started anew elsewhere and its pictures are embedded again. The only module that imports Ray.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from app.config import Settings
from app.domain import Embedding, Options
from app.engine import Serving, open_assessor, open_pipelines
from app.errors import ApiError, ErrorCode
from app.imaging.decoders import Decoders
from app.ops.deadline import Deadline
from app.ops.metrics import Metrics
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.threads import ThreadBudget
from app.service.ledger import BatchError, Outcome
from app.settings import AuthSettings

if TYPE_CHECKING:
    from app.cli.batch import Place

_PICTURE_S = 60.0
_EACH = 2
"""Pictures of each actor: one is embedded, the next is there already."""
_TRIES = 3
"""Of a picture whose actor is lost: with its node, or of this picture."""


class Recogniser:
    """One core of the cluster, with models and a decoder of its own."""

    def __init__(self, settings: Settings, pack: Pack) -> None:
        from app.cli.batch import as_meant  # noqa: PLC0415 - it imports this module

        store, budget = Store.of(settings.models), ThreadBudget(workers=1, intra_op=1)
        if store.pack(pack.name) != pack:
            raise BatchError(f"a node of the cluster has another pack {pack.name}")
        decoders = Decoders(1)
        decoders.__enter__()  # until the end of the process
        assessor = open_assessor(settings, budget)
        pipelines = open_pipelines(settings, store, pack, budget, assessor, Serving(decoders, Metrics()))
        self._recogniser = as_meant(pipelines, pack, settings)

    def outcome(self, data: bytes) -> Outcome:
        try:
            return self._recogniser.recognise(data, Options(), Deadline.after(_PICTURE_S))
        except ApiError as error:
            return error.code


@asynccontextmanager
async def open_cluster(address: str, settings: Settings, pack: Pack) -> AsyncIterator[Place]:
    """Open an actor on each free core of the cluster at ``address``; raise :class:`BatchError` without any."""
    from app.cli.batch import Place  # noqa: PLC0415 - it imports this module

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
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TRIES)(Recogniser)
        actors = [actor.remote(known, pack) for _ in range(number)]
        yield Place(partial(_embed, _Turns(actors)), _EACH * number)
    finally:
        ray.shutdown()


class _Turns:
    """Who is next: the actor with the fewest pictures under way."""

    def __init__(self, actors: list[Any]) -> None:
        self.actors = actors
        self.at_hand = [0] * len(actors)


async def _embed(turns: _Turns, data: bytes) -> Embedding:
    from ray.exceptions import RayError  # noqa: PLC0415

    place = turns.at_hand.index(min(turns.at_hand))
    turns.at_hand[place] += 1
    try:
        outcome: Outcome = await turns.actors[place].outcome.remote(data)
    except RayError as error:  # a node without the pack, say; above the last line there is a traceback of its
        raise BatchError(f"the cluster embeds no more: {str(error).strip().splitlines()[-1]}") from error
    finally:
        turns.at_hand[place] -= 1
    if isinstance(outcome, ErrorCode):
        raise ApiError(outcome)
    return outcome
