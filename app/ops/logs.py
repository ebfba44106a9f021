"""Logging: JSON lines on stderr, ``{"time", "level", "logger", "message", ...}``; never what a request contained.

A record's own fields are passed as ``extra={"fields": {...}}``.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import TextIO

# Below WARNING they write out URLs that are fetched or asked for, queries included, and what EXIF says of a picture.
_INDISCREET = ("httpx", "httpcore", "uvicorn.access", "PIL")
_CHATTY = "python_multipart"  # tells every flaw of a body, with excerpts; the reply says enough
_WITH_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


class JsonFormatter(logging.Formatter):
    """One record, one line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all loggers, uvicorn's among them, to ``stream`` (standard error); records below ``level`` are dropped."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _WITH_OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name in _INDISCREET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_CHATTY).setLevel(logging.CRITICAL)
