"""One record per cloud request: a log line, metrics, and a trace. Never images, secret keys, signatures or URLs.

A request for an unknown path is a log line only.
"""

import logging
import time
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import TYPE_CHECKING

from app.api.request import CloudRequest, printable
from app.errors import ApiError, ErrorCode
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer

if TYPE_CHECKING:
    from app.ops.traces import Traces  # needs packages of the extra `otel`

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class AccessLogRecord:
    """One access log record. ``code`` stays "Abandoned" if the client disconnects before the reply."""

    request_id: str
    action: str = "other"
    """Name of a served action; "other" before it is known and for unknown actions."""
    code: str = "Abandoned"
    reason: str = ""
    """The reason of an ``ApiError``, for the operator."""
    secret_id: str = ""
    key: str = ""
    """Label of the key that signed the request."""
    started_at: float = field(default_factory=time.monotonic)

    def fail(self, error: ApiError) -> None:
        self.code, self.reason = error.code.value, error.reason


class AccessLog:
    """Writes the record of each finished request to the log, the metrics and the traces."""

    def __init__(self, metrics: Metrics, traces: "Traces | None") -> None:
        self._metrics = metrics
        self._traces = traces

    def write(self, record: AccessLogRecord, request: CloudRequest, timer: StageTimer) -> None:
        seconds, stages = time.monotonic() - record.started_at, timer.totals()
        optional = {"secret_id": record.secret_id, "key": record.key, "reason": record.reason}
        fields = {
            "request_id": record.request_id,
            "action": printable(request.common("Action")),
            "code": record.code,
            "milliseconds": _milliseconds(seconds),
            "stages": {name: _milliseconds(duration) for name, duration in stages.items()},
            **{name: value for name, value in optional.items() if value},
            **timer.details,
        }
        _log.info("request", extra={"fields": fields})
        self._metrics.record_request(record.action, record.code, seconds, stages)
        if self._traces:
            attributes = {"request_id": record.request_id, "action": record.action, "code": record.code}
            is_error = record.code == ErrorCode.SERVER_ERROR
            self._traces.record_request(request.headers, attributes, record.started_at, timer.stages, is_error=is_error)


def log_unknown_path(method: str, port: int | None) -> None:
    """Log a request that got status 404, without its path, which is text of the client and may name a person.

    ``port``: that of the server. A method of the client's own is logged as "other".
    """
    method = method if method in HTTPMethod.__members__ else "other"
    _log.info("no such path", extra={"fields": {"status": 404, "method": method, "port": port}})


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
