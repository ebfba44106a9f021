"""Spans in an exporter, and on the wire to a collector."""

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
_ATTRIBUTES = {"request_id": "id", "action": "CompareFace", "code": "OK"}


def _spans(headers: dict[str, str], code: str = "OK") -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = Traces(exporter)
    started_at, timer = time.monotonic(), StageTimer.after(60)
    for name in ("decode", "detect"):
        with timer.stage(name):
            pass
    traces.record_request(
        headers, _ATTRIBUTES | {"code": code}, started_at, timer.stages, is_error=code == "FailedOperation.ServerError"
    )
    traces.close()
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def test_a_request_is_a_span_with_a_child_per_stage() -> None:
    request, *stages = _spans({})
    assert (request.name, request.kind, request.parent) == ("CompareFace", SpanKind.SERVER, None)
    assert [stage.name for stage in stages] == ["decode", "detect"]
    for stage in stages:
        assert stage.parent
        assert request.context
        assert stage.parent.span_id == request.context.span_id
        assert request.start_time <= stage.start_time <= stage.end_time <= request.end_time  # type: ignore[operator]
    assert abs((request.end_time or 0) / 1e9 - time.time()) < 60


def test_a_traceparent_continues_the_trace_of_the_caller() -> None:
    request, *_ = _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-01"})
    assert request.context
    assert request.parent
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (_TRACE, _PARENT)


def test_a_trace_that_is_not_sampled_is_not_recorded() -> None:
    assert _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-00"}) == []


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-01", f"00-{'0' * 32}-{_PARENT}-01", "x" * 60_000])
def test_a_malformed_traceparent_begins_a_new_trace(traceparent: str) -> None:
    assert _spans({"traceparent": traceparent})[0].parent is None


@pytest.mark.parametrize("state", ["a=1, nonsense of the caller", "nonsense" * 2000])
def test_tracestate_appears_neither_in_the_log_nor_in_a_span(state: str, caplog: pytest.LogCaptureFixture) -> None:
    request, *_ = _spans({"traceparent": f"00-{_TRACE}-{_PARENT}-01", "tracestate": state})
    assert request.context
    assert (f"{request.context.trace_id:032x}", dict(request.context.trace_state)) == (_TRACE, {})
    assert caplog.text == ""


@pytest.mark.parametrize(("configured", "name"), [("faces of the north", "faces of the north"), (None, "compareface")])
def test_the_operator_can_name_the_service(configured: str | None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if configured:
        monkeypatch.setenv("OTEL_SERVICE_NAME", configured)
    assert _spans({})[0].resource.attributes["service.name"] == name


def test_only_a_server_error_sets_the_error_status() -> None:
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


async def test_spans_reach_a_collector_and_contain_no_request_data() -> None:
    with _collector() as (endpoint, bodies):
        settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint=endpoint)})
        async with client_of(settings) as client:
            parameters = {"UrlA": "http://a.example/?secret", "UrlB": "http://b.example/?secret"}
            await client.post("/", headers=COMMON | {"Authorization": "SKIP"}, json=parameters)
    (export,) = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    spans = export.resource_spans[0].scope_spans[0].spans
    assert {"CompareFace", "queue", "receive", "verify"} == {span.name for span in spans}
    assert {"compareface.request_id", "compareface.action", "compareface.code"} == {
        attribute.key for span in spans for attribute in span.attributes
    }
    assert b"secret" not in bodies[0]


async def test_requests_succeed_without_a_reachable_collector() -> None:
    settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")})
    async with asyncio.timeout(30), client_of(settings) as client:
        assert (await client.post("/", headers=COMMON, json={})).status_code == 200


async def test_an_endpoint_without_the_packages_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.ops.traces", None)
    settings = OPEN.model_copy(update={"traces": TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")})
    with pytest.raises(SettingsError, match=r"-m pip install -e .*\[otel\]"):
        async with client_of(settings):
            pass
