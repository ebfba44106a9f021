"""The gateway: THE LIST of what happens to a request.

    receive -> name the action -> examine the caller -> admit -> read the body -> verify the signature -> perform

A place is taken before the body is read, so that memory stays bounded whoever sends.

In: a :class:`CloudRequest` without its body, and how to read the body. Out: a :class:`Reply`, whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

from starlette.requests import ClientDisconnect

from app.api import envelope
from app.api.actions.base import Action, RequestModel, find_model, parse_parameters
from app.api.admission import Admission
from app.api.auth import Authenticator
from app.api.engine import Service
from app.api.envelope import Reply
from app.api.request import CloudRequest, shown
from app.api.tc3 import Authorization
from app.config import LimitsSettings
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline

BodyReader: TypeAlias = Callable[[int], Awaitable[bytes]]
"""Reads the whole body, at most so many bytes; more is ``RequestSizeLimitExceeded``."""

_ABANDONED = "Abandoned"  # the log's word where nobody was answered: the caller left, or the server stops

_log = logging.getLogger(__name__)

_ENCODED = Text(
    "The request body must not be compressed (`Content-Encoding`).", "不支持压缩的请求内容（Content-Encoding）。"
)


class Gateway:
    """Answers requests with the given actions."""

    def __init__(
        self, actions: Iterable[Action], authenticator: Authenticator, limits: LimitsSettings, service: Service
    ) -> None:
        self._actions = tuple(actions)
        self._authenticator = authenticator
        self._limits = limits
        self._admission = Admission(limits.max_in_flight, min(limits.max_wait_s, limits.deadline_s / 2))
        self._service = service

    async def handle(self, request: CloudRequest, read_body: BodyReader) -> Reply:
        """Answer; raise nothing but ``ClientDisconnect``, where nobody is left to be answered."""
        request_id, started, code, reason = envelope.new_request_id(), time.monotonic(), _ABANDONED, ""
        try:
            deadline = Deadline.after(self._limits.deadline_s)
            reply = envelope.success(await self._in_time(request, read_body, deadline), request, request_id)
            code = "OK"
        except ApiError as error:
            code, reason = error.code.value, error.reason
            reply = envelope.failure(error, request, request_id)
        except ClientDisconnect:
            raise
        except Exception:
            code = ErrorCode.SERVER_ERROR.value
            _log.exception("unexpected error", extra={"fields": {"request_id": request_id}})
            reply = envelope.failure(ApiError(ErrorCode.SERVER_ERROR), request, request_id)
        finally:
            _log_request(request, request_id, started, code, reason)
        return reply

    async def _in_time(self, request: CloudRequest, read_body: BodyReader, deadline: Deadline) -> Mapping[str, object]:
        """Enforce the deadline, also on a caller that is slow to send and on a stage that does not look at it."""
        try:
            async with asyncio.timeout(deadline.remaining()):
                return await self._answer(request, read_body, deadline)
        except TimeoutError as error:
            raise ApiError(ErrorCode.REQUEST_TIMEOUT) from error

    async def _answer(self, request: CloudRequest, read_body: BodyReader, deadline: Deadline) -> Mapping[str, object]:
        self._check_protocol(request)
        model = find_model(self._actions, request.action, request.version)
        claim = self._authenticator.examine(request)
        async with self._admission.slot():
            if request.method == "POST":
                request = request.with_body(await read_body(self._limits.max_body_bytes))
            # Off the event loop: hashing and parsing 10 MB takes 45 ms, and others want an answer meanwhile.
            parameters = await asyncio.to_thread(self._verify_and_parse, request, claim, model)
            response = await parameters.perform(self._service, deadline)
        return response.model_dump(by_alias=True)

    def _verify_and_parse(
        self, request: CloudRequest, claim: Authorization | None, model: type[RequestModel]
    ) -> RequestModel:
        self._authenticator.verify(request, claim)
        return parse_parameters(request, model)

    def _check_protocol(self, request: CloudRequest) -> None:
        if request.method not in {"GET", "POST"}:
            raise ApiError(ErrorCode.UNSUPPORTED_PROTOCOL)
        if request.method == "GET" and len(request.query) > self._limits.max_query_bytes:
            raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise ApiError(ErrorCode.INVALID_PARAMETER, _ENCODED)


def _log_request(request: CloudRequest, request_id: str, started: float, code: str, reason: str) -> None:
    fields: dict[str, object] = {
        "request_id": request_id,
        "action": shown(request.headers.get("x-tc-action", "")),
        "code": code,
        "milliseconds": round((time.monotonic() - started) * 1000, 1),
    }
    if reason:
        fields["reason"] = reason
    _log.info("request", extra={"fields": fields})
