"""Logging: one JSON object per line on stderr, ``{"time", "level", "logger", "message", ...}``.

Log lines never contain request content. Pass additional fields as ``extra={"fields": {...}}``.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import TextIO

# Below WARNING these log URLs with their queries, and EXIF fields of images.
_LOG_URLS_OR_EXIF = ("httpx", "httpcore", "uvicorn.access", "PIL")
# It logs excerpts of malformed bodies; the response names the error already.
_LOGS_BODIES = "python_multipart"
_WITH_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the records of all loggers, including uvicorn's, to ``stream`` (default: stderr), from ``level`` upwards."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _WITH_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name in _LOG_URLS_OR_EXIF:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_LOGS_BODIES).setLevel(logging.CRITICAL)
