"""AccessLogRecord: what is known about a request, for its one log line, the metrics and the traces.

Never pictures, secret keys, signatures or URLs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from app.api.request import CloudRequest, shown
from app.errors import ApiError
from app.ops.stage_timer import StageTimer

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class AccessLogRecord:
    """What is known about a request so far; where nobody was answered the code stays "Abandoned"."""

    request_id: str
    action: str = "other"
    """One of ours, once it is known to be."""
    code: str = "Abandoned"
    reason: str = ""
    secret_id: str = ""
    key: str = ""
    began: float = field(default_factory=time.monotonic)

    def fail(self, error: ApiError) -> None:
        self.code, self.reason = error.code.value, error.reason

    @property
    def seconds(self) -> float:
        """How long it has been here."""
        return time.monotonic() - self.began

    def write(self, request: CloudRequest, timer: StageTimer) -> None:
        """Write the line. ``stages``: milliseconds, both pictures of a comparison together, though side by side."""
        fields: dict[str, object] = {
            "request_id": self.request_id,
            "action": shown(request.common("Action")),
            "code": self.code,
            "milliseconds": _milliseconds(self.seconds),
            "stages": {name: _milliseconds(seconds) for name, seconds in timer.totals().items()},
        }
        known = {"secret_id": self.secret_id, "key": self.key, "reason": self.reason}
        _log.info("request", extra={"fields": fields | {name: value for name, value in known.items() if value}})


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
