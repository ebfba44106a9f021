"""Every metric, for Prometheus. In: what others count and time. Out: the text of ``/metrics``.

An engine owns one :class:`Metrics`; what lies below it is handed the one method that it needs. Labels have few values:
names of ours, never a caller's words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

import app

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)
_STAGE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_WAIT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_ITEMS = (1, 2, 4, 8, 16)

disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series, and the start of the process is told once already


class Metrics:
    """The metrics of one service. Safe to use from several threads at once."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "compareface_requests_total",
            "Requests by action (`other`: none of ours) and code.",
            ["action", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "compareface_request_seconds",
            "How long requests took that were answered OK.",
            ["action"],
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "compareface_stage_seconds",
            "How long a request was in a stage, both pictures of a comparison together, whatever its answer.",
            ["stage"],
            buckets=_STAGE_S,
            registry=registry,
        )
        self.in_flight = Gauge("compareface_in_flight", "Requests at work.", registry=registry)
        self.queued = Gauge("compareface_queued", "Requests in line for a place.", registry=registry)
        self._batch_size = Histogram(
            "compareface_batch_size", "Items of a run on a GPU.", ["model"], buckets=_ITEMS, registry=registry
        )
        self._batch_wait = Histogram(
            "compareface_batch_wait_seconds",
            "How long a call waited for its run on a GPU.",
            ["model"],
            buckets=_WAIT_S,
            registry=registry,
        )
        self._fetched = Counter("compareface_fetch_bytes_total", "Bytes of pictures fetched.", registry=registry)
        self._restarts = Counter("compareface_decoder_restarts_total", "DecoderPool replaced.", registry=registry)
        self._engine = Info("compareface_engine", "What is running.", registry=registry)

    def preseed(self, actions: Iterable[str], codes: Collection[str]) -> None:
        """Begin what alerts look at with 0: they would not see the first error of a series that begins with it."""
        for action in actions:
            for code in codes:
                self._requests.labels(action, code)

    def record_request(self, action: str, code: str, seconds: float, stages: Mapping[str, float]) -> None:
        """Count a request that is over, and what its stages took."""
        self._requests.labels(action, code).inc()
        if code == "OK":  # refusals take no time and would hide how long the others wait
            self._request_seconds.labels(action).observe(seconds)
        for stage, taken in stages.items():
            self._stage_seconds.labels(stage).observe(taken)

    def record_batch(self, model: str, items: int) -> None:
        """Count a run of ``items`` together."""
        self._batch_size.labels(model).observe(items)

    def record_batch_wait(self, model: str, seconds: float) -> None:
        """Count a call's wait for its run."""
        self._batch_wait.labels(model).observe(seconds)

    def record_fetched_bytes(self, size: int) -> None:
        """Count bytes that came from a URL."""
        self._fetched.inc(size)

    def record_decoder_restart(self) -> None:
        """Count a decoder that was replaced."""
        self._restarts.inc()

    def set_build_info(self, pack: str, device: str, provider: str) -> None:
        """Tell what is running."""
        self._engine.info({"pack": pack, "device": device, "provider": provider, "version": app.__version__})

    def render(self) -> bytes:
        """Return all of it in Prometheus's format."""
        return generate_latest(self._registry)
