"""The log consists of JSON lines and contains no URLs."""

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


def test_a_record_is_one_json_line(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logging.getLogger("uvicorn.error").info("started\n%s", "中", extra={"fields": {"port": 1}})
    logging.getLogger("app").debug("dropped")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {"level": "info", "logger": "uvicorn.error", "message": "started\n中", "port": 1}


def test_a_traceback_is_a_field(stream: io.StringIO) -> None:
    logs.configure("error", stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("app").exception("failed")
    record = json.loads(stream.getvalue())
    assert (record["level"], record["message"]) == ("error", "failed")
    assert "ZeroDivisionError" in record["exception"]


def test_urls_are_not_logged_at_debug_level(stream: io.StringIO) -> None:
    logs.configure("debug", stream)
    logging.getLogger("httpx").info("HTTP Request: GET http://a/?token=1")
    logging.getLogger("uvicorn.access").info("GET /?ImageA=x")
    logging.getLogger("httpcore.connection").debug("connect_tcp.started host='a'")
    assert stream.getvalue() == ""


def test_the_handlers_of_uvicorn_are_replaced(stream: io.StringIO) -> None:
    logger, uvicorn_stream = logging.getLogger("uvicorn"), io.StringIO()
    logger.handlers, logger.propagate = [logging.StreamHandler(uvicorn_stream)], False
    logs.configure("info", stream)
    logging.getLogger("uvicorn.error").info("started")
    assert uvicorn_stream.getvalue() == ""
    assert json.loads(stream.getvalue())["message"] == "started"
