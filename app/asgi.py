"""The application: settings and an engine in, an ASGI application out. Assembly only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

import app
from app.api.actions import ACTIONS
from app.api.auth import Authenticator
from app.api.engine import OpenEngine
from app.api.gateway import Gateway
from app.api.keys import KeyRing
from app.api.playground.routes import PLAYGROUND
from app.api.routes import ROUTES, unexpected
from app.config import Settings, SettingsError, load
from app.ops import logs


def create_app(settings: Settings, open_engine: OpenEngine) -> FastAPI:
    """Return the application; it opens the engine when it starts and closes it when it stops.

    Reads the file of keys; raise ``SettingsError`` where it cannot be used.
    """
    authenticator = Authenticator(settings.auth, KeyRing(settings.auth), settings.is_open)
    return FastAPI(
        title="compareface",
        version=app.__version__,
        routes=[*(PLAYGROUND if settings.playground.enabled else ()), *ROUTES],
        lifespan=partial(_lifespan, settings, authenticator, open_engine),
        exception_handlers={Exception: unexpected},
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )


def serve_app() -> FastAPI:
    """Return the application of the environment's settings, for ``uvicorn --factory app.asgi:serve_app``."""
    settings = load()
    if settings.is_open and settings.auth.mode != "off":
        # Whoever calls this decides about the address, so that nobody vouches for loopback.
        raise SettingsError(
            "no keys are configured: set COMPAREFACE_AUTH__KEYS or COMPAREFACE_AUTH__KEYS_FILE, "
            "or COMPAREFACE_AUTH__MODE=off"
        )
    from app.engine import Engine  # noqa: PLC0415 - heavy, and tests assemble the application without it

    logs.configure(settings.log.level)
    return create_app(settings, Engine.open)


@asynccontextmanager
async def _lifespan(
    settings: Settings, authenticator: Authenticator, open_engine: OpenEngine, _: FastAPI
) -> AsyncIterator[Mapping[str, object]]:
    async with open_engine(settings) as engine:
        is_lenient = settings.wire.parameters == "lenient"
        gateway = Gateway(ACTIONS, authenticator, settings.limits, engine, is_lenient=is_lenient)
        yield {"engine": engine, "gateway": gateway}
