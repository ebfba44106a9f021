"""OpenTelemetry: one span per request, with a child span per stage. The only module that imports opentelemetry.

Spans carry the request id, the action and the result code: no images, keys, signatures or URLs. A thread of the SDK
sends them to a collector.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import app
from app.ops.stage_timer import Stage

_EXPORT_TIMEOUT_S = 3.0
"""Seconds for the collector to accept a batch, and for the last batch at shutdown."""


class Traces:
    """Spans of the requests of one service."""

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource.create({"service.name": "compareface", "service.version": app.__version__})
        resource = resource.merge(OTELResourceDetector().detect())  # OTEL_* variables of the operator take precedence
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=_EXPORT_TIMEOUT_S * 1000))
        self._tracer = self._provider.get_tracer("compareface")

    @classmethod
    def to_collector(cls, endpoint: str) -> Self:
        """Return traces that are sent to the URL of a collector, as OTLP over HTTP."""
        return cls(OTLPSpanExporter(endpoint, timeout=_EXPORT_TIMEOUT_S))

    def record_request(
        self,
        headers: Mapping[str, str],
        attributes: Mapping[str, str],
        started_at: float,
        stages: Sequence[Stage],
        *,
        is_error: bool,
    ) -> None:
        """Record the spans of a request that ends now.

        ``headers``: its headers, for ``traceparent``; ``attributes``: its ``request_id``, ``action`` and ``code``.
        """
        offset = time.time() - time.monotonic()

        def nanoseconds(monotonic: float) -> int:
            return int((monotonic + offset) * 1e9)

        # Without `tracestate`: this service calls no other one, and the propagator logs malformed values verbatim.
        parent = TraceContextTextMapPropagator().extract({"traceparent": headers.get("traceparent", "")})
        span = self._tracer.start_span(
            attributes["action"],
            parent,
            SpanKind.SERVER,
            {f"compareface.{name}": value for name, value in attributes.items()},
            start_time=nanoseconds(started_at),
        )
        if is_error:
            span.set_status(StatusCode.ERROR)
        context = set_span_in_context(span)
        for stage in stages:
            child = self._tracer.start_span(stage.name, context, start_time=nanoseconds(stage.started_at))
            child.end(nanoseconds(stage.ended_at))
        span.end()

    def close(self) -> None:
        """Send the remaining spans. Blocks for some seconds if the collector does not respond."""
        self._provider.shutdown()
