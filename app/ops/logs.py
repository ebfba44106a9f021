"""Logging: one JSON object per line on stderr, ``{"time", "level", "logger", "message", ...}``.

Log lines never contain request content. Pass additional fields as ``extra={"fields": {...}}``.
"""

import datetime
import json
import logging
import sys
from typing import TextIO

_MIN_LEVELS = {
    # Below WARNING these log URLs with their queries, and EXIF fields of images.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "PIL": logging.WARNING,
    # This one logs excerpts of malformed bodies. The response contains the error already.
    "python_multipart": logging.CRITICAL,
}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
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
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name, min_level in _MIN_LEVELS.items():
        logging.getLogger(name).setLevel(min_level)
