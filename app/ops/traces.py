"""OpenTelemetry: one span per request, its stages beneath it. The only module that imports opentelemetry.

In: what the journal knows of a request that is over, and the caller's ``traceparent``. Out: spans, sent to a collector
by a thread of the SDK's. They carry the request's id, action and code: no pictures, keys, signatures or URLs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import app
from app.ops.stage_timer import Stage

_PATIENCE_S = 3.0
"""Seconds that the collector gets to take a batch, at shutdown the last one."""


class Traces:
    """Spans of the requests of one service."""

    def __init__(self, exporter: SpanExporter) -> None:
        about = Resource.create({"service.name": "compareface", "service.version": app.__version__})
        about = about.merge(OTELResourceDetector().detect())  # the operator's names go before ours
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=_PATIENCE_S * 1000))
        self._tracer = self._provider.get_tracer("compareface")

    @classmethod
    def to(cls, endpoint: str) -> Traces:
        """Send spans to the address of a collector (OTLP over HTTP)."""
        return cls(OTLPSpanExporter(endpoint, timeout=_PATIENCE_S))

    def request(
        self,
        headers: Mapping[str, str],
        told: Mapping[str, str],
        began: float,
        stages: Sequence[Stage],
        *,
        is_error: bool,
    ) -> None:
        """Record a request that ends now; ``told``: its ``request_id``, ``action`` and ``code``."""
        offset = time.time() - time.monotonic()
        # Without `tracestate`: nobody is called from here, and what is wrong with it would be logged word by word.
        above = TraceContextTextMapPropagator().extract({"traceparent": headers.get("traceparent", "")})
        span = self._tracer.start_span(
            told["action"],
            above,
            SpanKind.SERVER,
            {f"compareface.{name}": value for name, value in told.items()},
            start_time=_nanoseconds(began + offset),
        )
        if is_error:
            span.set_status(StatusCode.ERROR)
        beneath = set_span_in_context(span)
        for stage in stages:
            child = self._tracer.start_span(stage.name, beneath, start_time=_nanoseconds(stage.began + offset))
            child.end(_nanoseconds(stage.ended + offset))
        span.end()

    def close(self) -> None:
        """Send what has not been sent. Blocks, for some seconds where the collector does not answer."""
        self._provider.shutdown()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
