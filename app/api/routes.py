"""HTTP <-> gateway: every path and method is a cloud request, but for some plain addresses for operators.

``/healthz`` the process is alive, ``/readyz`` it takes requests: nothing listens before the engine is open, and once it
is to stop the answer is a no. ``/version`` what is running; ``/metrics`` how much, where a setting says so. ``/docs``
and ``/openapi.json`` describe the cloud requests, to people and to programs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

import app
from app.api import docs, envelope
from app.api.engine import EngineLike
from app.api.envelope import NO_STORE_HEADERS, Reply
from app.api.gateway import Gateway
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text
from app.ops.metrics import MEDIA_TYPE
from app.settings import MetricsSettings

_FIRST_S = 5.0
"""Seconds that a body has whatever its size: for the way, and for callers who begin slowly."""

_TOO_SLOW = Text("The request body was sent too slowly.", "请求内容发送过慢。")
_LEAVING = Text("The service is being stopped. Please retry.", "服务正在停止，请重试。")


async def healthz(_: Request) -> Response:
    return JSONResponse({"alive": True}, headers=NO_STORE_HEADERS)


async def readyz(request: Request) -> Response:
    is_ready = not getattr(request.state, "is_leaving", False)
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503, headers=NO_STORE_HEADERS)


async def version(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    told = {"name": "compareface", "version": app.__version__, "engine": dict(engine.facts())}
    return JSONResponse(told, headers=NO_STORE_HEADERS)


async def metrics(request: Request) -> Response:
    engine: EngineLike = request.state.engine
    return Response(engine.metrics.render(), headers=NO_STORE_HEADERS, media_type=MEDIA_TYPE)


class CloudRoute(BaseRoute):
    """Takes whatever no route before it took, so that no method and no path is turned away before the gateway."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await cloud(scope, receive, send)


_OPERATORS = (
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/version", version),
    Route("/openapi.json", docs.openapi),
    Route("/docs", docs.docs),
)
"""The operators' addresses (GET only)."""


def routes(settings: MetricsSettings) -> list[BaseRoute]:
    """Return the operators' addresses, and the cloud's."""
    counted = [Route("/metrics", metrics)] if settings.enabled else []
    return [*_OPERATORS, *counted, CloudRoute()]


async def cloud(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one cloud request."""
    if scope["type"] != "http":
        await send({"type": "websocket.close"})
        return
    http = Request(scope, receive)
    gateway: Gateway = http.state.gateway
    request = _cloud_request(http)
    try:
        reply = await gateway.handle(request, partial(_read_body, http), partial(_left, http))
    except ClientDisconnect:
        return
    except asyncio.CancelledError:  # the server stops, and its time for draining is over
        reply = envelope.failure(ApiError(ErrorCode.SERVER_ERROR, _LEAVING), request, envelope.new_request_id())
    # In HTTP a success of CONNECT is a tunnel.
    status = 405 if request.method == "CONNECT" else 200
    await _response(reply, status)(scope, receive, send)


async def unexpected(http: Request, _: Exception) -> Response:
    """Answer for a defect outside the gateway: still the envelope. Starlette raises the error on, to be logged."""
    request = _cloud_request(http)
    return _response(envelope.failure(ApiError(ErrorCode.SERVER_ERROR), request, envelope.new_request_id()))


def _cloud_request(http: Request) -> CloudRequest:
    lines: dict[str, list[str]] = {}
    for name, value in http.headers.items():
        lines.setdefault(name, []).append(value)
    # Lines of one name are one value, as RFC 9110 section 5.3 has it; two signatures are then none.
    headers = {name: ", ".join(values) for name, values in lines.items()}
    path = http.scope.get("raw_path") or http.scope["path"].encode()
    query = http.scope["query_string"]
    return CloudRequest(http.method, path.decode("latin-1"), query.decode("latin-1"), headers)


async def _read_body(http: Request, max_bytes: int, min_rate: int, show: Callable[[bytes], object]) -> bytes:
    declared = http.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
    chunks, size = [], 0
    until = asyncio.get_running_loop().time() + _FIRST_S
    try:
        async with asyncio.timeout_at(until) as patience:
            async for chunk in http.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
                show(chunk)
                chunks.append(chunk)
                patience.reschedule(until + size / min_rate)
    except TimeoutError as error:
        raise ApiError(ErrorCode.REQUEST_TIMEOUT, _TOO_SLOW) from error
    return b"".join(chunks)


async def _left(http: Request) -> None:
    """Return when the caller has left; before that nothing comes any more, because the body has been read."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _response(reply: Reply, status: int = 200) -> Response:
    return Response(reply.body, status, headers=dict(reply.headers))
