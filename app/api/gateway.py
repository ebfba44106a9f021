"""The gateway: the steps of a request, in order.

    check the protocol -> find the action -> check the credential -> admit -> read the body
    -> verify the signature -> authorise -> bind the parameters -> perform -> reply

A slot is taken before the body is read, which bounds memory. Only a POST form with signature v1 is read before the
action is found, because it contains the common parameters. It first takes a slot of a separate admission, and has a
smaller size limit.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.api import envelope, parameters
from app.api.access_log import AccessLog, AccessLogRecord
from app.api.actions import ACTIONS
from app.api.actions.base import RequestModel, bind, find_action
from app.api.admission import Admission, Slot
from app.api.auth.authenticator import Authenticator, PendingAuth
from app.api.body import read_body, wait_for_disconnect
from app.api.rate_limit import RateLimiter
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text
from app.ops.deadline import Deadline, DeadlineExceededError
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer
from app.service.services import EngineInfo, Services
from app.settings import LimitsSettings

if TYPE_CHECKING:
    from app.ops.traces import Traces

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_ALERTED_CODES = (ErrorCode.SERVER_ERROR, ErrorCode.REQUEST_TIMEOUT, ErrorCode.REQUEST_LIMIT_EXCEEDED)
"""Codes used by the alerts of ``deploy/prometheus``."""

_MAX_INLINE_JSON = 2**17
"""JSON of this size is parsed in 1 ms; a thread costs at least 0.1 ms."""

_COMPRESSED_BODY = Text(
    "The request body must not be compressed (`Content-Encoding`).", "不支持压缩的请求体（Content-Encoding）。"
)
_STOPPING = Text("The service is being stopped. Please retry.", "服务正在停止，请重试。")
_TOO_LARGE_FOR_V1 = Text(
    "The provided credentials could not be validated because of exceeding request size limit, "
    "please use new signature method `TC3-HMAC-SHA256`.",
    "请求包超过限制大小，无法验证请求签名，请使用新的签名方法 `TC3-HMAC-SHA256`。",
)


class EngineLike(Protocol):
    """The part of an opened engine that the API uses. ``app.engine.Engine`` and the test fakes implement it."""

    @property
    def services(self) -> Services: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def info(self) -> EngineInfo: ...

    def is_busy(self, arriving: int) -> bool:
        """Return whether (unfinished images + 2 x ``arriving``) exceeds the number of workers.

        ``arriving``: number of admitted requests whose images the worker pool does not have yet, two images each.
        """


class Gateway:
    """Takes each request through the steps and returns the reply."""

    def __init__(
        self,
        authenticator: Authenticator,
        limits: LimitsSettings,
        engine: EngineLike,
        rate_limiter: RateLimiter,
        *,
        is_lenient: bool = False,
        traces: "Traces | None" = None,
    ) -> None:
        """``is_lenient``: ignore unknown parameters and convert JSON types, see ``bind``."""
        self._authenticator = authenticator
        self._limits = limits
        self._services = engine.services
        self._is_lenient = is_lenient
        max_wait_s = min(limits.max_wait_s, limits.deadline_s / 2)
        max_queued = -(-limits.max_connections // 4)  # both queues together: half of the connections
        self._admission = Admission(limits.max_in_flight, max_wait_s, max_queued, engine.is_busy)
        self._v1_admission = Admission(limits.max_in_flight, max_wait_s, max_queued)
        self._rate_limiter = rate_limiter
        self._metrics = engine.metrics
        self._access_log = AccessLog(engine.metrics, traces)
        engine.metrics.preseed(["other", *(action.name for action in ACTIONS)], _ALERTED_CODES)

    async def handle(self, http: Request) -> Response:
        """Return the reply; raise only ``ClientDisconnect``."""
        request = CloudRequest.received(http)
        record = AccessLogRecord(envelope.new_request_id())
        timer = StageTimer.after(self._limits.deadline_s)
        try:
            async with _enforce(timer.deadline), AsyncExitStack() as slots:
                self._check_protocol(request)
                request = await self._read_common_parameters(request, http, timer, slots)
                fields = await self._process(request, http, timer, slots, record)
            reply = envelope.success(fields, request, record.request_id)
            record.code = "OK"
        except ClientDisconnect:
            raise
        except (Exception, asyncio.CancelledError) as error:
            api_error = _api_error(error, record.request_id)
            record.fail(api_error)
            reply = envelope.failure(api_error, request, record.request_id)
            del api_error  # breaks the cycle of frame and traceback, which would keep the body in memory
        finally:
            timer.deadline.expire()  # stops image work that still runs on worker threads after an error or a disconnect
            self._access_log.write(record, request, timer)
        return reply

    def _check_protocol(self, request: CloudRequest) -> None:
        if request.method not in {"GET", "POST"}:
            raise ApiError(ErrorCode.UNSUPPORTED_PROTOCOL)
        if request.method == "GET" and len(request.query) > self._limits.max_query_bytes:
            raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise ApiError(ErrorCode.INVALID_PARAMETER, _COMPRESSED_BODY)

    async def _read_common_parameters(
        self, request: CloudRequest, http: Request, timer: StageTimer, slots: AsyncExitStack
    ) -> CloudRequest:
        """Return the request with its common parameters. A form with signature v1 holds a slot in ``slots``."""
        if not request.is_v1:
            return request
        if request.method == "GET":
            return replace(request, v1_parameters=parameters.from_form(request.query.encode("latin-1")))
        await self._take_slot(self._v1_admission, timer, slots)
        try:
            with timer.stage("receive"):
                form = await read_body(http, self._limits.max_v1_body_bytes, self._limits.min_body_rate)
        except ApiError as error:
            if error.code is not ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED:
                raise
            raise ApiError(ErrorCode.SIGNATURE_FAILURE, _TOO_LARGE_FOR_V1) from error
        return replace(request, v1_parameters=await asyncio.to_thread(parameters.from_form, form))

    async def _process(
        self, request: CloudRequest, http: Request, timer: StageTimer, slots: AsyncExitStack, record: AccessLogRecord
    ) -> Mapping[str, object]:
        """Return the fields of the response to a request that has its common parameters."""
        name, version = request.required("Action"), request.required("Version")
        record.action, model = find_action(ACTIONS, name, version)
        pending = self._authenticator.check_credential(request)
        record.secret_id = pending.secret_id
        slot = await self._take_slot(self._admission, timer, slots)
        slots.enter_context(self._metrics.in_flight.track_inprogress())
        if request.method == "POST" and request.v1_parameters is None:
            with timer.stage("receive"):
                request = await self._read_body(request, http, is_signed=pending.credential is not None)
        with timer.stage("verify"):
            if request.v1_parameters is None:
                key = self._authenticator.verify(request, pending)
            else:  # the string to sign contains the images
                key = await asyncio.to_thread(self._authenticator.verify, request, pending)
        record.key = key.label if key else ""
        self._authorise(pending, record.action)
        is_quick = parameters.has_json_body(request) and len(request.body) <= _MAX_INLINE_JSON
        bound = self._bind(request, model) if is_quick else await asyncio.to_thread(self._bind, request, model)
        slot.start_work()
        work = bound.perform(self._services, pending.caller, timer)
        response = await cancel_on_disconnect(wait_for_disconnect(http), work)
        return response.model_dump(by_alias=True)

    async def _take_slot(self, admission: Admission, timer: StageTimer, slots: AsyncExitStack) -> Slot:
        """Return a slot of ``admission``, which ``slots`` releases when it closes."""
        with timer.stage("queue"), self._metrics.queued.track_inprogress():
            return await slots.enter_async_context(admission.slot())

    async def _read_body(self, request: CloudRequest, http: Request, *, is_signed: bool) -> CloudRequest:
        """Read the body and, if it is signed, hash each chunk: hashing at the end would block the event loop."""
        digest = hashlib.sha256()
        on_chunk = digest.update if is_signed else None
        body = await read_body(http, self._limits.max_body_bytes, self._limits.min_body_rate, on_chunk)
        return replace(request, body=body, body_sha256=digest.hexdigest() if is_signed else "")

    def _authorise(self, pending: PendingAuth, action: str) -> None:
        caller = pending.caller
        if not caller.may_call(action):
            raise ApiError(ErrorCode.UNAUTHORIZED_OPERATION)
        if caller.requests_per_second is not None:
            self._rate_limiter.count(pending.secret_id, action, caller.requests_per_second)

    def _bind(self, request: CloudRequest, model: type[RequestModel]) -> RequestModel:
        is_text = not parameters.has_json_body(request)
        return bind(model, parameters.action_parameters(request), is_text=is_text, is_lenient=self._is_lenient)


def _api_error(error: BaseException, request_id: str) -> ApiError:
    """Return the error to report for ``error``; log it if it is unexpected."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, asyncio.CancelledError):  # the server stops, and the time to drain is over
        return ApiError(ErrorCode.SERVER_ERROR, _STOPPING)
    _log.error("unexpected error", exc_info=error, extra={"fields": {"request_id": request_id}})
    return ApiError(ErrorCode.SERVER_ERROR)


@asynccontextmanager
async def _enforce(deadline: Deadline) -> AsyncIterator[None]:
    """Raise ``RequestTimeout`` at the deadline, even while a client sends or a stage does not check it."""
    try:
        async with asyncio.timeout(deadline.remaining()):
            yield
    except (TimeoutError, DeadlineExceededError) as error:
        raise ApiError(ErrorCode.REQUEST_TIMEOUT) from error


async def cancel_on_disconnect(disconnected: Coroutine[None, None, None], work: Coroutine[None, None, _T]) -> _T:
    """Return the result of ``work``. If ``disconnected`` ends first, cancel ``work`` and raise ``ClientDisconnect``."""
    disconnect, result = asyncio.create_task(disconnected), asyncio.create_task(work)
    try:
        await asyncio.wait({disconnect, result}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ClientDisconnect
        return result.result()
    finally:
        for task in (disconnect, result):
            task.cancel()
        await asyncio.gather(disconnect, result, return_exceptions=True)
        del disconnect, result, task  # break the reference cycle between the tasks and a raised error
