"""Assembles the ASGI application from the settings and an engine."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from fastapi import FastAPI
from starlette.applications import Starlette

import app
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.gateway import EngineLike, Gateway
from app.api.playground.routes import PLAYGROUND
from app.api.rate_limit import RateLimiter
from app.api.routes import health_routes, internal_error, not_found, routes
from app.engine import Engine
from app.environment import Settings, SettingsError, load_settings
from app.ops import logs
from app.ops.process import install_command
from app.service.services import EngineInfo

if TYPE_CHECKING:
    from app.ops.traces import Traces

_log = logging.getLogger(__name__)

OpenEngine: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[EngineLike]]
"""Opens an engine, which closes when the context ends."""


def check_settings(settings: Settings) -> None:
    """Raise ``SettingsError`` if the key file, the packages for traces, or their variables are not valid."""
    KeyRing.open(settings.auth)
    if traces := _open_traces(settings.traces.endpoint):
        traces.close()


def create_app(settings: Settings, open_engine: OpenEngine, rate_limiter: RateLimiter | None = None) -> FastAPI:
    """Return the application. It opens the engine at startup and closes it at shutdown.

    ``rate_limiter``: None if this is the only process.

    Reads the key file. Raises ``SettingsError`` if the file is not valid.
    """
    authenticator = Authenticator(settings.auth, KeyRing.open(settings.auth), settings.is_open)
    has_metrics = settings.metrics.enabled and settings.server.health_port is None
    return FastAPI(
        title="compareface",
        version=app.__version__,
        routes=[*(PLAYGROUND if settings.playground.enabled else ()), *routes(has_metrics=has_metrics)],
        lifespan=partial(_lifespan, settings, authenticator, open_engine, rate_limiter or RateLimiter()),
        exception_handlers={404: not_found, Exception: internal_error},
        openapi_url=None,  # app/api/docs.py serves it
    )


def create_health_app(settings: Settings) -> Starlette:
    """Return the application of the health port; it needs the state of the other application."""
    routes = health_routes(has_metrics=settings.metrics.enabled)
    application = Starlette(routes=routes, exception_handlers={404: not_found})
    application.router.redirect_slashes = False  # a probe that follows the redirect of a wrong path would succeed
    return application


def serve_app() -> FastAPI:
    """Return the application configured by the environment, for ``uvicorn --factory app.asgi:serve_app``."""
    settings = load_settings()
    settings.check_may_serve(on_loopback=False)  # the ASGI server chooses the address, so it may be public
    check_settings(settings)
    logs.configure(settings.log.level)
    return create_app(settings, Engine.open)


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    authenticator: Authenticator,
    open_engine: OpenEngine,
    rate_limiter: RateLimiter,
    _: FastAPI,
) -> AsyncIterator[Mapping[str, object]]:
    async with open_engine(settings) as engine:
        authenticator.restrict_populations(engine.info.populations)
        authenticator.log_short_keys()
        _log_start(engine.info)
        traces = _open_traces(settings.traces.endpoint)
        try:
            is_lenient = settings.wire.parameters == "lenient"
            gateway = Gateway(
                authenticator, settings.limits, engine, rate_limiter, is_lenient=is_lenient, traces=traces
            )
            yield {"engine": engine, "gateway": gateway, "server_processes": rate_limiter.processes}
        finally:
            if traces:
                await asyncio.to_thread(traces.close)


def _log_start(info: EngineInfo) -> None:
    population = info.default_population_info
    fields = {"pack": info.pack, "device": info.device, "population": info.population.value}
    fields |= {"calibration": population.status, "data": population.data}
    _log.info("engine started", extra={"fields": fields})
    for pack, sentence in info.unfit.items():
        _log.warning(sentence, extra={"fields": {"pack": pack}})


def _open_traces(endpoint: str | None) -> "Traces | None":
    if endpoint is None:
        return None
    try:
        from app.ops.traces import Traces  # noqa: PLC0415 - needs packages of the extra `otel`

        return Traces.to_collector(endpoint)
    except ImportError as error:
        raise SettingsError(
            f"COMPAREFACE_TRACES__ENDPOINT needs packages that are not installed: run `{install_command('otel')}`"
        ) from error
    except ValueError as error:
        raise SettingsError(f"a variable OTEL_* is not valid: {error}") from error
