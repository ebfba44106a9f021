"""HTTP <-> gateway. A cloud request is a request of the vendor's API 3.0, which this service answers.

Every request is a cloud request, except GET of the playground and of these operator paths, and GET or HEAD that names
neither an action nor a caller:

``/healthz``: whether the process is alive. ``/readyz``: whether the service accepts requests, false during shutdown.
``/version``: version, processes, model pack and device. ``/metrics``: metrics for Prometheus, if enabled. ``/docs`` and
``/openapi.json``: description of the cloud requests. Any other GET of ``/`` describes the service, and of another path
returns 404, so that a probe of a wrong path fails.
"""

import logging
from dataclasses import asdict

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

import app
from app.api import docs, envelope
from app.api.access_log import log_unknown_path
from app.api.envelope import NO_STORE_HEADERS
from app.api.gateway import EngineLike, Gateway
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode
from app.ops.metrics import MEDIA_TYPE

_log = logging.getLogger(__name__)


async def healthz(_: Request) -> Response:
    return JSONResponse({"alive": True}, headers=NO_STORE_HEADERS)


async def readyz(request: Request) -> Response:
    is_ready = not getattr(request.state, "is_draining", False)
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503, headers=NO_STORE_HEADERS)


async def version(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    content = {
        "name": "compareface",
        "version": app.__version__,
        "server_processes": request.state.server_processes,
        "engine": asdict(engine.info),
    }
    return JSONResponse(content, headers=NO_STORE_HEADERS)


async def metrics(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    return Response(engine.metrics.render(), headers=NO_STORE_HEADERS, media_type=MEDIA_TYPE)


async def _index(_: Request) -> Response:
    text = "Face comparison service with the interface of Tencent Cloud API 3.0."
    content = {"name": "compareface", "description": text, "documentation": "/docs"}
    return JSONResponse(content, headers=NO_STORE_HEADERS)


async def not_found(request: Request, _: Exception) -> Response:
    """Log and report an unknown path of either port."""
    log_unknown_path(request.method, (request.scope.get("server") or (None, None))[1])
    text = (
        "There is no such path. The paths for probes are /healthz and /readyz. Cloud requests need the main port and "
        "the parameter Action; /docs describes them.\n"
    )
    return PlainTextResponse(text, 404, headers=NO_STORE_HEADERS)


class _PageRoute(BaseRoute):
    """GET and HEAD that name neither an action nor a caller: no SDK sends such a request."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_page = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and not _has_cloud_parameter(scope)
        return Match.FULL if is_page else Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            raise HTTPException(404)
        page = await _index(Request(scope))
        await page(scope, receive, send)


def _has_cloud_parameter(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    query_names = {pair.partition(b"=")[0] for pair in scope["query_string"].split(b"&")}
    return not (
        names.isdisjoint({b"authorization", b"x-tc-action"}) and query_names.isdisjoint({b"Action", b"SecretId"})
    )


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
        if http.method == "CONNECT":
            reply.status_code = 405  # in HTTP, status 200 would open a tunnel
        await reply(scope, receive, send)


def routes(*, has_metrics: bool) -> list[BaseRoute]:
    """Return the routes for operators, then the route of cloud requests."""
    return [
        *health_routes(has_metrics=has_metrics),
        Route("/version", version),
        Route("/openapi.json", docs.openapi),
        Route("/docs", docs.docs),
        _PageRoute(),
        CloudRoute(),
    ]


def health_routes(*, has_metrics: bool) -> list[BaseRoute]:
    """Return the routes of the health port."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        *([Route("/metrics", metrics)] if has_metrics else []),
    ]


async def internal_error(http: Request, _: Exception) -> Response:
    """Reply with the envelope to an error outside the gateway. Starlette raises it again, and uvicorn logs it."""
    request_id = envelope.new_request_id()
    _log.error("error outside the gateway", extra={"fields": {"request_id": request_id}})
    return envelope.failure(ApiError(ErrorCode.SERVER_ERROR), CloudRequest.received(http), request_id)
