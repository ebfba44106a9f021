"""Metrics in Prometheus's text format; tests/api/test_routes.py reads them over HTTP."""

import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.errors import OperatorError
from app.ops.metrics import FOLDER_VARIABLE, Metrics, add_process, remove_process

_SERVER_PROCESS = """
import os
from app.ops import metrics
metrics.add_process(1)
values = metrics.Metrics()
values.record_request("CompareFace", "OK", 0.04, {"decode": 0.003})
values.in_flight.inc()
print(os.getpid())
print(values.render().decode())
"""


def _lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_a_request_is_counted_and_timed_with_its_stages() -> None:
    metrics = Metrics()
    metrics.record_request("CompareFace", "OK", 0.04, {"decode": 0.003})
    lines = _lines(metrics)
    assert 'compareface_requests_total{action="CompareFace",code="OK"} 1.0' in lines
    assert 'compareface_request_seconds_bucket{action="CompareFace",le="0.03"} 0.0' in lines
    assert 'compareface_request_seconds_bucket{action="CompareFace",le="0.05"} 1.0' in lines
    assert 'compareface_stage_seconds_sum{stage="decode"} 0.003' in lines


def test_the_latency_of_failed_requests_is_not_recorded() -> None:
    metrics = Metrics()
    metrics.record_request("CompareFace", "InvalidParameter", 0.001, {})
    assert 'compareface_requests_total{action="CompareFace",code="InvalidParameter"} 1.0' in _lines(metrics)
    assert not [line for line in _lines(metrics) if line.startswith("compareface_request_seconds_count")]


def test_preseeded_counters_start_at_zero() -> None:
    metrics = Metrics()
    metrics.preseed(["CompareFace"], ["FailedOperation.ServerError"])
    assert 'compareface_requests_total{action="CompareFace",code="FailedOperation.ServerError"} 0.0' in _lines(metrics)


def test_batches_fetches_and_decoder_restarts_are_counted() -> None:
    metrics = Metrics()
    metrics.record_batch("embedder", 3, [0.01, 0.02])
    metrics.fetched_bytes.inc(100)
    metrics.decoder_restarts.inc()
    lines = _lines(metrics)
    assert 'compareface_batch_size_bucket{le="2.0",model="embedder"} 0.0' in lines
    assert 'compareface_batch_size_bucket{le="4.0",model="embedder"} 1.0' in lines
    assert 'compareface_batch_wait_seconds_count{model="embedder"} 2.0' in lines
    assert "compareface_fetch_bytes_total 100.0" in lines
    assert "compareface_decoder_restarts_total 1.0" in lines


def test_build_information_names_version_pack_and_device() -> None:
    metrics = Metrics()
    metrics.set_build_info("open", "cpu", "CPUExecutionProvider")
    (line,) = [line for line in _lines(metrics) if line.startswith("compareface_engine_info")]
    for label in (f'version="{app.__version__}"', 'pack="open"', 'device="cpu"', 'provider="CPUExecutionProvider"'):
        assert label in line


def test_a_removed_folder_is_an_error_of_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "removed"))
    with pytest.raises(OperatorError, match="removed, the folder of the metrics; restart the service"):
        add_process(1)


def test_a_replacement_continues_the_files_of_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    files = []
    for count in (1, 2, 3):
        output = subprocess.run([sys.executable, "-c", _SERVER_PROCESS], capture_output=True, text=True, check=True)
        process_id, *lines = output.stdout.splitlines()
        assert f'compareface_requests_total{{action="CompareFace",code="OK"}} {count}.0' in lines
        assert f'compareface_request_seconds_count{{action="CompareFace"}} {count}.0' in lines
        assert "compareface_in_flight 1.0" in lines
        assert len([line for line in lines if line.startswith("process_cpu_seconds_total{")]) == 1
        assert any(line.startswith(f'process_cpu_seconds_total{{pid="{process_id}"}}') for line in lines)
        remove_process(1, int(process_id))
        files.append(sorted(file.name for file in tmp_path.iterdir()))
    assert files == [["counter_1.db", "histogram_1.db"]] * 3
