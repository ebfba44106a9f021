"""Logs are JSON lines, and discreet."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from app.ops import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers = handlers
    root.setLevel(level)


def test_record_is_one_json_line(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logging.getLogger("uvicorn.error").info("started\n%s", "中", extra={"fields": {"port": 1}})
    logging.getLogger("app").debug("dropped")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {"level": "info", "logger": "uvicorn.error", "message": "started\n中", "port": 1}


def test_traceback_is_a_field(stream: io.StringIO) -> None:
    logs.configure("error", stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("app").exception("odd")
    record = json.loads(stream.getvalue())
    assert (record["level"], record["message"]) == ("error", "odd")
    assert "ZeroDivisionError" in record["exception"]


def test_urls_are_not_logged_even_at_debug(stream: io.StringIO) -> None:
    logs.configure("debug", stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://a/?token=1")
    logging.getLogger("uvicorn.access").info("GET /?ImageA=x")
    logging.getLogger("httpcore.connection").debug("connect_tcp.started host='a'")
    assert stream.getvalue() == ""


def test_uvicorns_own_handlers_are_replaced(stream: io.StringIO) -> None:
    logger, own = logging.getLogger("uvicorn"), io.StringIO()
    logger.handlers, logger.propagate = [logging.StreamHandler(own)], False
    logs.configure("info", stream)
    logging.getLogger("uvicorn.error").info("started")
    assert own.getvalue() == ""
    assert json.loads(stream.getvalue())["message"] == "started"
