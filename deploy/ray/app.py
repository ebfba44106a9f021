"""CompareFace on a Ray cluster: the application of ``app.asgi`` in replicas of Ray Serve.

``serve run deploy.ray.app:build``, or ``serve deploy deploy/ray/serve.yaml``. Settings come from the environment
(``COMPAREFACE_…``). Each replica has its own engine, with one thread per core that Ray assigns.
"""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from starlette.types import ASGIApp, Receive, Scope, Send

THREADS = "COMPAREFACE_RUNTIME__THREADS"


class WithState:
    """Passes the lifespan state of the application to each request; servers do that, but Ray's replicas do not."""

    def __init__(self, application: FastAPI) -> None:
        self._application: ASGIApp = application
        self.state: MutableMapping[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.state = scope["state"]
        else:
            scope["state"] = {**self.state}
        await self._application(scope, receive, send)


def application() -> WithState:
    """Return the application of this replica; Ray calls it in the replica after assigning cores and GPU."""
    resources = ray.get_runtime_context().get_assigned_resources()
    cores = resources.get("CPU", 1)
    os.environ.setdefault(THREADS, str(max(1, int(cores))))
    from app.asgi import serve_app  # noqa: PLC0415 - heavy, and only replicas need it
    from app.ops import process  # noqa: PLC0415

    process.disable_core_dumps()
    return WithState(serve_app())


class Replica:
    """One engine behind Ray's proxies; Ray adds ``app``, the result of :func:`application`."""

    app: WithState

    async def check_health(self) -> None:
        """Raise if the engine is not open; Ray then replaces the replica."""
        if "engine" not in self.app.state:
            raise RuntimeError("the engine is not open")


CompareFace = serve.deployment(name="CompareFace")(serve.ingress(application)(Replica))


def build(_: Mapping[str, str]) -> serve.Application:
    """Return the application for Ray Serve; ``serve.yaml`` configures replicas, resources and routes."""
    return CompareFace.bind()
