"""All Prometheus metrics, served as text at ``/metrics``.

Label values come from small fixed sets or are process IDs, never from a request. With several server processes, each
one writes its values to files, and any of them answers for all (``prometheus_client.multiprocess``). The replacement of
a process that exited continues its counters and histograms; its gauges are removed.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

import app
from app.errors import OperatorError

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of the files. ``prometheus_client`` reads it when it is imported."""

_RUNNING = ".pid"
"""Suffix of the files that name the running server processes."""
_REQUEST_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)
_STAGE_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_WAIT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_ITEMS = (1, 2, 4, 8, 16)

# The series `*_created` double the number of series, and `process_start_time_seconds` has the same information.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one service. Thread-safe."""

    def __init__(self) -> None:
        folder = os.environ.get(FOLDER_VARIABLE)
        self._registry = CollectorRegistry()  # what `/metrics` shows
        if folder is None:
            registry = self._registry
            ProcessCollector(registry=registry)
        else:
            registry = CollectorRegistry()
            MultiProcessCollector(self._registry, folder)  # type: ignore[no-untyped-call]
            self._registry.register(_AllProcesses(Path(folder)))
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
        histogram = partial(Histogram, registry=registry)

        help_text = "Requests by action (`other`: unknown action) and result code."
        self._requests = counter("compareface_requests_total", help_text, ["action", "code"])
        help_text = "Duration of successful requests."
        self._request_seconds = histogram("compareface_request_seconds", help_text, ["action"], buckets=_REQUEST_S)
        help_text = "Duration of a request's stages, summed over both images of a comparison, for all result codes."
        self._stage_seconds = histogram("compareface_stage_seconds", help_text, ["stage"], buckets=_STAGE_S)
        self.in_flight = gauge("compareface_in_flight", "Requests in process.")
        self.queued = gauge("compareface_queued", "Requests in the queue.")
        help_text = "Items per model run on a GPU."
        self._batch_size = histogram("compareface_batch_size", help_text, ["model"], buckets=_ITEMS)
        help_text = "Time from a call to the start of its model run on a GPU."
        self._batch_wait = histogram("compareface_batch_wait_seconds", help_text, ["model"], buckets=_WAIT_S)
        self.fetched_bytes = counter("compareface_fetch_bytes_total", "Bytes of images fetched by URL.")
        self.decoder_restarts = counter("compareface_decoder_restarts_total", "Decoder processes that were replaced.")
        help_text = "Version, model pack and device."
        self._engine = prometheus_client.Info("compareface_engine", help_text, registry=self._registry)

    def preseed(self, actions: Iterable[str], codes: Collection[str]) -> None:
        """Create the request counters of ``codes``, the codes used by the alerts, at 0.

        They must exist before the first error, because ``rate`` misses the first increment of a new series.
        """
        for action in actions:
            for code in codes:
                self._requests.labels(action, code)

    def record_request(self, action: str, code: str, seconds: float, stages: Mapping[str, float]) -> None:
        """Count a finished request and the durations of its stages."""
        self._requests.labels(action, code).inc()
        if code == "OK":  # errors are quick, and would hide the latency of successful requests
            self._request_seconds.labels(action).observe(seconds)
        for stage, duration in stages.items():
            self._stage_seconds.labels(stage).observe(duration)

    def record_batch(self, model: str, items: int, waits_s: Iterable[float]) -> None:
        """Count a model run with ``items`` items, and the seconds that each of its calls waited."""
        self._batch_size.labels(model).observe(items)
        for seconds in waits_s:
            self._batch_wait.labels(model).observe(seconds)

    def set_build_info(self, pack: str, device: str, provider: str) -> None:
        """Set the labels of ``compareface_engine_info``."""
        self._engine.info({"pack": pack, "device": device, "provider": provider, "version": app.__version__})

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return prometheus_client.generate_latest(self._registry)


class _AllProcesses(Collector):
    """The metrics of ``ProcessCollector`` for each server process, with the label ``pid``.

    A sum over the running processes would fall when one is replaced, which ``rate`` reads as a restarted counter.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        metrics: dict[str, Metric] = {}
        for file in self._folder.glob(f"*{_RUNNING}"):
            process_id = file.stem
            for metric in ProcessCollector(pid=partial(int, process_id), registry=None).collect():
                merged = metrics.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    merged.add_sample(sample.name, {"pid": process_id}, sample.value)
        return metrics.values()


def add_process(number: int) -> None:
    """Use the files of server process ``number`` in this process; call it before ``Metrics``.

    Files with the process ID in their name, the default of ``prometheus_client``, would accumulate. Raises
    ``OperatorError`` if the folder was removed.
    """
    file = _running_file(os.getpid())
    try:
        file.touch()
    except OSError as error:
        raise OperatorError(f"cannot write to {file.parent}, the folder of the metrics; restart the service") from error
    values.ValueClass = MultiProcessValue(process_identifier=lambda: number)  # type: ignore[no-untyped-call]


def remove_process(number: int, process_id: int) -> None:
    """Remove the gauges of a server process that exited; call it before its replacement starts."""
    mark_process_dead(number, os.environ[FOLDER_VARIABLE])  # type: ignore[no-untyped-call]
    _running_file(process_id).unlink(missing_ok=True)


def _running_file(process_id: int) -> Path:
    return Path(os.environ[FOLDER_VARIABLE], f"{process_id}{_RUNNING}")
