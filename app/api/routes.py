"""HTTP <-> gateway. Every request is a cloud request, except a GET of these paths for operators:

``/healthz``: whether the process is alive. ``/readyz``: whether the service accepts requests, false during shutdown.
``/version``: version, model pack and device. ``/metrics``: metrics for Prometheus, if enabled. ``/docs`` and
``/openapi.json``: description of the cloud requests.
"""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

import app
from app.api import docs, envelope
from app.api.envelope import NO_STORE_HEADERS
from app.api.gateway import EngineLike, Gateway
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text
from app.ops.metrics import MEDIA_TYPE
from app.settings import MetricsSettings

_STOPPING = Text("The service is being stopped. Please retry.", "服务正在停止，请重试。")


async def healthz(_: Request) -> Response:
    return JSONResponse({"alive": True}, headers=NO_STORE_HEADERS)


async def readyz(request: Request) -> Response:
    is_ready = not getattr(request.state, "is_draining", False)
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503, headers=NO_STORE_HEADERS)


async def version(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    facts = {"name": "compareface", "version": app.__version__, "engine": dict(engine.facts())}
    return JSONResponse(facts, headers=NO_STORE_HEADERS)


async def metrics(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    return Response(engine.metrics.render(), headers=NO_STORE_HEADERS, media_type=MEDIA_TYPE)


class CloudRoute(BaseRoute):
    """Cloud requests: every path and method that no earlier route matches."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply to one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        http = Request(scope, receive)
        gateway: Gateway = http.state.gateway
        try:
            reply = await gateway.handle(http)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:  # the server stops, and the time to drain is over
            reply = envelope.failure(ApiError(ErrorCode.SERVER_ERROR, _STOPPING), CloudRequest.received(http))
        if http.method == "CONNECT":
            reply.status_code = 405  # in HTTP, status 200 would open a tunnel
        await reply(scope, receive, send)


def routes(settings: MetricsSettings) -> list[BaseRoute]:
    """Return the routes for operators, then the route of cloud requests."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/version", version),
        Route("/openapi.json", docs.openapi),
        Route("/docs", docs.docs),
        *([Route("/metrics", metrics)] if settings.enabled else []),
        CloudRoute(),
    ]


async def internal_error(http: Request, _: Exception) -> Response:
    """Reply with the envelope to an error outside the gateway. Starlette raises the error again, so it is logged."""
    return envelope.failure(ApiError(ErrorCode.SERVER_ERROR), CloudRequest.received(http))
