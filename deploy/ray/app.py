"""CompareFace on a Ray cluster: the application of ``app.asgi`` in replicas of Ray Serve.

``serve run deploy.ray.app:build``, or ``serve deploy deploy/ray/serve.yaml``. In: the settings of the environment
(``COMPAREFACE_…``), the same as everywhere. Each replica has an engine of its own, with as many threads as Ray gives it
cores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from starlette.types import ASGIApp, Receive, Scope, Send

THREADS = "COMPAREFACE_RUNTIME__THREADS"


class WithState:
    """Hands what the application opened at its start on to each request, as servers do; Ray's replicas do not."""

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
    """Return the application of this replica; called where it runs, once Ray has given it its cores and GPU."""
    granted = ray.get_runtime_context().get_assigned_resources()
    cores = granted.get("CPU", 1)
    os.environ.setdefault(THREADS, str(max(1, int(cores))))
    from app.asgi import serve_app  # noqa: PLC0415 - heavy, and only replicas need it
    from app.ops import process  # noqa: PLC0415

    process.forbid_core_dumps()
    return WithState(serve_app())


class Replica:
    """One engine behind Ray's proxies; the wrapper around it adds ``app``, what :func:`application` has returned."""

    app: WithState

    async def check_health(self) -> None:
        """Raise where the engine is not open; Ray then puts another replica in its place."""
        if "engine" not in self.app.state:
            raise RuntimeError("the engine is not open")


CompareFace = serve.deployment(name="CompareFace")(serve.ingress(application)(Replica))


def build(_: Mapping[str, str]) -> serve.Application:
    """Return what Ray Serve runs; how many, on what, and how requests reach them, ``serve.yaml`` says."""
    return CompareFace.bind()
