"""Spans as an exporter gets them, and on the wire to a collector."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.environment import SettingsError
from app.ops.stage_timer import StageTimer
from app.ops.traces import Traces
from app.settings import TracesSettings
from tests.support.fakes import COMMON, OPEN, client_of

_TRACE, _PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_TOLD = {"request_id": "id", "action": "CompareFace", "code": "OK"}


def _spans(headers: dict[str, str], code: str = "OK") -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = Traces(exporter)
    began, timer = time.monotonic(), StageTimer.after(60)
    for name in ("decode", "detect"):
        with timer.stage(name):
            pass
    traces.request(headers, _TOLD | {"code": code}, began, timer.stages, is_error=code == "FailedOperation.ServerError")
    traces.close()
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def test_a_request_is_a_span_with_its_stages_beneath() -> None:
    request, *stages = _spans({})
    assert (request.name, request.kind, request.parent) == ("CompareFace", SpanKind.SERVER, None)
    assert [stage.name for stage in stages] == ["decode", "detect"]
    for stage in stages:
        assert stage.parent
        assert request.context
        assert stage.parent.span_id == request.context.span_id
        assert request.start_time <= stage.start_time <= stage.end_time <= request.end_time  # type: ignore[operator]
    assert abs((request.end_time or 0) / 1e9 - time.time()) < 60


def test_the_callers_trace_is_gone_on_with() -> None:
    request, *_ = _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-01"})
    assert request.context
    assert request.parent
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (_TRACE, _PARENT)


def test_what_the_caller_does_not_want_recorded_is_not() -> None:
    assert _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-00"}) == []


@pytest.mark.parametrize("sent", ["", "nonsense", "00-0-0-01", f"00-{'0' * 32}-{_PARENT}-01", "x" * 60_000])
def test_a_malformed_traceparent_begins_a_new_trace(sent: str) -> None:
    assert _spans({"traceparent": sent})[0].parent is None


@pytest.mark.parametrize("state", ["a=1, nonsense of the caller", "nonsense" * 2000])
def test_what_the_caller_says_beside_gets_neither_into_the_log_nor_into_a_span(
    state: str, caplog: pytest.LogCaptureFixture
) -> None:
    request, *_ = _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-01", "tracestate": state})
    assert request.context
    assert (f"{request.context.trace_id:032x}", dict(request.context.trace_state)) == (_TRACE, {})
    assert caplog.text == ""


@pytest.mark.parametrize(("given", "name"), [("faces of the north", "faces of the north"), (None, "compareface")])
def test_the_service_is_called_as_the_operator_wants(
    given: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given:
        monkeypatch.setenv("OTEL_SERVICE_NAME", given)
    assert _spans({})[0].resource.attributes["service.name"] == name


def test_only_a_defect_is_an_error() -> None:
    assert _spans({}, "FailedOperation.ServerError")[0].status.status_code is StatusCode.ERROR
    assert _spans({}, "InvalidParameterValue.NoFaceInPhoto")[0].status.status_code is StatusCode.UNSET


@contextmanager
def _collector() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []

    class _Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    with HTTPServer(("127.0.0.1", 0), _Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
        server.shutdown()


async def test_spans_reach_a_collector_and_have_nothing_of_the_request() -> None:
    with _collector() as (endpoint, bodies):
        settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint=endpoint)})
        async with client_of(settings) as client:
            body = {"UrlA": "http://a.example/?secret", "UrlB": "http://b.example/?secret"}
            await client.post("/", headers=COMMON | {"Authorization": "SKIP"}, json=body)
    (sent,) = [ExportTraceServiceRequest.FromString(each) for each in bodies]
    spans = sent.resource_spans[0].scope_spans[0].spans
    assert {"CompareFace", "queue", "receive", "verify"} == {span.name for span in spans}
    assert {"compareface.request_id", "compareface.action", "compareface.code"} == {
        attribute.key for span in spans for attribute in span.attributes
    }
    assert b"secret" not in bodies[0]


async def test_a_collector_that_is_not_there_hurts_nobody() -> None:
    settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")})
    async with asyncio.timeout(30), client_of(settings) as client:
        assert (await client.post("/", headers=COMMON, json={})).status_code == 200


async def test_without_the_packages_a_collector_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.ops.traces", None)
    settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")})
    with pytest.raises(SettingsError, match=r"pip install .\.\[otel\]"):
        async with client_of(settings):
            pass
