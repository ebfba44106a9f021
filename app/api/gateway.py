"""The gateway: THE LIST of what happens to a request.

    receive -> name the action -> examine the caller -> admit -> read the body -> verify the signature -> authorise
    -> bind the parameters -> perform

A place is taken before the body is read, so that memory stays bounded whoever sends. Only a form of the older dialect
has to be read first, because it carries the common parameters: it has places of its own, and a smaller bound.

In: a :class:`CloudRequest` without its body, how to read the body, and how to learn that the caller has left. Out: a
:class:`Reply`, whatever happens.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect

from app.api import envelope, parameters
from app.api.access_log import AccessLogRecord
from app.api.actions.base import Action, RequestModel, bind, find_action
from app.api.admission import Admission
from app.api.auth.authenticator import Authenticator, PendingAuth
from app.api.engine import EngineLike
from app.api.envelope import Reply
from app.api.rates import Rates
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline, DeadlineExceededError
from app.ops.offload import offload
from app.ops.stage_timer import Stage, StageTimer
from app.settings import LimitsSettings

BodyReader: TypeAlias = Callable[[int, int, Callable[[bytes], object]], Awaitable[bytes]]
"""Reads the whole body: at most so many bytes (else ``RequestSizeLimitExceeded``), at least so many of them a second
(else ``RequestTimeout``); shows each piece that comes."""

DisconnectWaiter: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when the caller has left; asked only once the body has been read."""

_T = TypeVar("_T")


class Tracer(Protocol):
    """Records requests that are over."""

    def request(
        self,
        headers: Mapping[str, str],
        told: Mapping[str, str],
        began: float,
        stages: Sequence[Stage],
        *,
        is_error: bool,
    ) -> None: ...


_log = logging.getLogger(__name__)

_ALERTED = (ErrorCode.SERVER_ERROR, ErrorCode.REQUEST_TIMEOUT, ErrorCode.REQUEST_LIMIT_EXCEEDED)
"""Codes that the alerts of ``deploy/prometheus`` ask for."""

_ENCODED = Text(
    "The request body must not be compressed (`Content-Encoding`).", "不支持压缩的请求内容（Content-Encoding）。"
)
_TOO_LARGE_FOR_V1 = Text(
    "The provided credentials could not be validated because of exceeding request size limit, "
    "please use new signature method `TC3-HMAC-SHA256`.",
    "请求包超过限制大小，无法验证请求签名，请使用新的签名方法 `TC3-HMAC-SHA256`。",
)


class Gateway:
    """Answers requests with the given actions."""

    def __init__(
        self,
        actions: Iterable[Action],
        authenticator: Authenticator,
        limits: LimitsSettings,
        engine: EngineLike,
        *,
        is_lenient: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self._actions = tuple(actions)
        self._authenticator = authenticator
        self._limits = limits
        self._services = engine.services
        self._is_lenient = is_lenient
        max_wait_s = min(limits.max_wait_s, limits.deadline_s / 2)
        max_waiting = -(-limits.max_connections // 4)  # in each line: about half of all are left, and can be told
        self._admission = Admission(limits.max_in_flight, max_wait_s, max_waiting, engine.is_busy)
        self._forms = Admission(limits.max_in_flight, max_wait_s, max_waiting)
        self._rates = Rates()
        self._metrics, self._tracer = engine.metrics, tracer
        self._metrics.preseed(["other", *(action.name for action in self._actions)], _ALERTED)
        self._metrics.in_flight.set_function(lambda: self._admission.in_flight)
        self._metrics.queued.set_function(lambda: self._admission.waiting + self._forms.waiting)

    async def handle(self, request: CloudRequest, read_body: BodyReader, leaving: DisconnectWaiter) -> Reply:
        """Answer; raise nothing but ``ClientDisconnect``, where nobody is left to be answered."""
        entry = AccessLogRecord(envelope.new_request_id())
        timer = StageTimer.after(self._limits.deadline_s)
        try:
            async with _at_most(timer.deadline), AsyncExitStack() as places:
                request = await self._receive(request, read_body, places)
                fields = await self._answer(request, read_body, leaving, timer, entry)
            reply = envelope.success(fields, request, entry.request_id)
            entry.code = "OK"
        except ApiError as error:
            entry.fail(error)
            reply = envelope.failure(error, request, entry.request_id)
        except ClientDisconnect:
            raise
        except Exception:
            _log.exception("unexpected error", extra={"fields": {"request_id": entry.request_id}})
            defect = ApiError(ErrorCode.SERVER_ERROR)
            entry.fail(defect)
            reply = envelope.failure(defect, request, entry.request_id)
        finally:
            timer.deadline.expire()
            self._tell(request, entry, timer)
        return reply

    def _tell(self, request: CloudRequest, entry: AccessLogRecord, timer: StageTimer) -> None:
        """Have the log, the metrics and the traces know of a request that is over."""
        entry.write(request, timer)
        self._metrics.record_request(entry.action, entry.code, entry.seconds, timer.totals())
        if self._tracer:
            told = {"request_id": entry.request_id, "action": entry.action, "code": entry.code}
            is_defect = entry.code == ErrorCode.SERVER_ERROR
            self._tracer.request(request.headers, told, entry.began, timer.stages, is_error=is_defect)

    async def _receive(self, request: CloudRequest, read_body: BodyReader, places: AsyncExitStack) -> CloudRequest:
        """Return the request with its common parameters at hand; a form keeps its place until it is answered."""
        self._check_protocol(request)
        if not request.speaks_v1:
            return request
        if request.method == "GET":
            return request.with_v1(parameters.from_form(request.query.encode("latin-1")))
        await places.enter_async_context(self._forms.slot())
        try:
            form = await read_body(self._limits.max_v1_body_bytes, self._limits.min_body_rate, _ignored)
        except ApiError as error:
            if error.code is not ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED:
                raise
            raise ApiError(ErrorCode.SIGNATURE_FAILURE, _TOO_LARGE_FOR_V1) from error
        return request.with_v1(await asyncio.to_thread(parameters.from_form, form))

    async def _answer(
        self,
        request: CloudRequest,
        read_body: BodyReader,
        leaving: DisconnectWaiter,
        timer: StageTimer,
        entry: AccessLogRecord,
    ) -> Mapping[str, object]:
        found = find_action(self._actions, request.action, request.version)
        entry.action = found.name
        examined = self._authenticator.examine(request)
        entry.secret_id = examined.secret_id
        came = time.monotonic()
        async with self._admission.slot() as place:
            timer.record("queue", came)
            if request.method == "POST" and request.v1 is None:
                with timer.stage("receive"):
                    request = await self._with_body(request, read_body, is_signed=examined.claim is not None)
            with timer.stage("verify"):
                key = await offload(0 if request.v1 is None else None, self._authenticator.verify, request, examined)
            entry.key = key.label if key else ""
            self._authorise(examined, found.name)
            size = len(request.body) if parameters.are_json(request) else None
            bound = await offload(size, self._bind, request, found.model)
            place.begin()
            response = await _unless(leaving, bound.perform(self._services, examined.caller, timer))
        return response.model_dump(by_alias=True)

    async def _with_body(self, request: CloudRequest, read_body: BodyReader, *, is_signed: bool) -> CloudRequest:
        """Read the body. One that is signed is hashed while it comes: all at once would keep others waiting."""
        digest = hashlib.sha256()
        show = digest.update if is_signed else _ignored
        body = await read_body(self._limits.max_body_bytes, self._limits.min_body_rate, show)
        return request.with_body(body, digest.hexdigest() if is_signed else "")

    def _authorise(self, examined: PendingAuth, action: str) -> None:
        caller = examined.caller
        if not caller.may(action):
            raise ApiError(ErrorCode.UNAUTHORIZED_OPERATION)
        if caller.requests_per_second is not None:
            self._rates.count(examined.secret_id, action, caller.requests_per_second)

    def _bind(self, request: CloudRequest, model: type[RequestModel]) -> RequestModel:
        values, is_text = parameters.of(request)
        return bind(model, values, is_text=is_text, is_lenient=self._is_lenient)

    def _check_protocol(self, request: CloudRequest) -> None:
        if request.method not in {"GET", "POST"}:
            raise ApiError(ErrorCode.UNSUPPORTED_PROTOCOL)
        if request.method == "GET" and len(request.query) > self._limits.max_query_bytes:
            raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise ApiError(ErrorCode.INVALID_PARAMETER, _ENCODED)


def _ignored(_: bytes) -> None:
    """Do nothing with a piece of a body."""


@asynccontextmanager
async def _at_most(deadline: Deadline) -> AsyncIterator[None]:
    """Enforce the deadline, also on a caller that is slow to send and on a stage that does not look at it."""
    try:
        async with asyncio.timeout(deadline.remaining()):
            yield
    except (TimeoutError, DeadlineExceededError) as error:
        raise ApiError(ErrorCode.REQUEST_TIMEOUT) from error


async def _unless(leaving: DisconnectWaiter, work: Coroutine[None, None, _T]) -> _T:
    """Return what ``work`` returns; when the caller leaves before that, cancel it: raise ``ClientDisconnect``."""
    left, done = asyncio.ensure_future(leaving()), asyncio.ensure_future(work)
    try:
        await asyncio.wait({left, done}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise ClientDisconnect
        return done.result()
    finally:
        for task in (left, done):
            task.cancel()
        await asyncio.gather(left, done, return_exceptions=True)
        del left, done, task  # an error would hold them, and they the error
