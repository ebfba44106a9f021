"""Entry: the one log line of a request. Never pictures, secret keys, signatures or URLs."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from app.api.request import CloudRequest, shown
from app.errors import ApiError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Entry:
    """What is known about a request so far; where nobody was answered the code stays "Abandoned"."""

    request_id: str
    code: str = "Abandoned"
    reason: str = ""
    secret_id: str = ""
    key: str = ""
    _started: float = field(default_factory=time.monotonic)

    def fail(self, error: ApiError) -> None:
        self.code, self.reason = error.code.value, error.reason

    def write(self, request: CloudRequest) -> None:
        fields = {
            "request_id": self.request_id,
            "action": shown(request.common("Action")),
            "code": self.code,
            "milliseconds": round((time.monotonic() - self._started) * 1000, 1),
        }
        known = {"secret_id": self.secret_id, "key": self.key, "reason": self.reason}
        _log.info("request", extra={"fields": fields | {name: value for name, value in known.items() if value}})
