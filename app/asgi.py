"""The application: settings and an engine in, an ASGI application out. Assembly only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI

import app
from app.api.actions import ACTIONS
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.engine import OpenEngine
from app.api.gateway import Gateway
from app.api.playground.routes import PLAYGROUND
from app.api.routes import routes, unexpected
from app.environment import Settings, SettingsError, load_settings
from app.ops import logs

if TYPE_CHECKING:
    from app.ops.traces import Traces


def create_app(settings: Settings, open_engine: OpenEngine) -> FastAPI:
    """Return the application; it opens the engine when it starts and closes it when it stops.

    Reads the file of keys; raise ``SettingsError`` where it cannot be used, or a package is missing.
    """
    authenticator = Authenticator(settings.auth, KeyRing(settings.auth), settings.is_open)
    traces = _traces(settings.traces.endpoint)
    return FastAPI(
        title="compareface",
        version=app.__version__,
        routes=[*(PLAYGROUND if settings.playground.enabled else ()), *routes(settings.metrics)],
        lifespan=partial(_lifespan, settings, authenticator, open_engine, traces),
        exception_handlers={Exception: unexpected},
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )


def serve_app() -> FastAPI:
    """Return the application of the environment's settings, for ``uvicorn --factory app.asgi:serve_app``."""
    settings = load_settings()
    settings.check_may_serve(on_loopback=False)  # whoever calls this decides about the address
    from app.engine import Engine  # noqa: PLC0415 - heavy, and tests assemble the application without it

    logs.configure(settings.log.level)
    return create_app(settings, Engine.open)


@asynccontextmanager
async def _lifespan(
    settings: Settings, authenticator: Authenticator, open_engine: OpenEngine, traces: Traces | None, _: FastAPI
) -> AsyncIterator[Mapping[str, object]]:
    async with open_engine(settings) as engine:
        is_lenient = settings.wire.parameters == "lenient"
        gateway = Gateway(ACTIONS, authenticator, settings.limits, engine, is_lenient=is_lenient, tracer=traces)
        try:
            yield {"engine": engine, "gateway": gateway}
        finally:
            if traces:
                await asyncio.to_thread(traces.close)


def _traces(endpoint: str | None) -> Traces | None:
    if endpoint is None:
        return None
    try:
        from app.ops.traces import Traces  # noqa: PLC0415 - of an extra, and slow to import
    except ImportError as error:
        raise SettingsError(
            "COMPAREFACE_TRACES__ENDPOINT needs packages that are not installed: pip install '.[otel]' in the checkout"
        ) from error
    return Traces.to(endpoint)
