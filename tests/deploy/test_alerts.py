"""The alerts, by Prometheus's own tester: each fires when it should, and none for a service that is well or idle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.monitoring import ALERTS, alerts

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")

# Values each 15 s for half an hour: `0+3x120` is 0, 3, 6 ...
_IDLE = {
    'up{job="compareface",instance="a"}': "1x120",
    'compareface_requests_total{instance="a",code="OK"}': "0x120",
    'compareface_requests_total{instance="a",code="FailedOperation.ServerError"}': "0x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="2.0"}': "0x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="5.0"}': "0x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="+Inf"}': "0x120",
    'compareface_decoder_restarts_total{instance="a"}': "0x120",
}
_WELL = _IDLE | {
    'compareface_requests_total{instance="a",code="OK"}': "0+1000x120",
    'compareface_requests_total{instance="a",code="FailedOperation.ServerError"}': "0+1x120",
    'compareface_requests_total{instance="a",code="RequestLimitExceeded"}': "0+10x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="2.0"}': "0+1000x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="5.0"}': "0+1000x120",
    'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="+Inf"}': "0+1000x120",
}
_TROUBLE = {
    "ComparefaceInstanceDown": {'up{job="compareface",instance="b"}': "0x120"},
    "ComparefaceDefects": {'compareface_requests_total{instance="a",code="FailedOperation.ServerError"}': "0+20x120"},
    "ComparefaceTimeouts": {
        'compareface_requests_total{instance="a",code="FailedOperation.RequestTimeout"}': "0+20x120"
    },
    "ComparefaceSlow": {'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="2.0"}': "0+980x120"},
    "ComparefaceRefuses": {'compareface_requests_total{instance="a",code="RequestLimitExceeded"}': "0+100x120"},
    "ComparefaceDecodersDie": {'compareface_decoder_restarts_total{instance="a"}': "0x60 0+1x5 5x54"},
}


def _check(folder: Path, series: Mapping[str, str], firing: set[str], at: str = "20m") -> None:
    """Have ``promtool`` say whether exactly these alerts fire."""
    asked = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)],
    }
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [asked],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("series", [_IDLE, _WELL], ids=["idle", "well"])
def test_nothing_fires_without_a_reason(series: dict[str, str], tmp_path: Path) -> None:
    _check(tmp_path, series, set())


@pytest.mark.parametrize("name", _TROUBLE)
def test_each_fires_for_its_reason_alone(name: str, tmp_path: Path) -> None:
    _check(tmp_path, _WELL | _TROUBLE[name], {name})


@pytest.mark.parametrize("series", [{}, {'up{job="another"}': "1x120"}], ids=["nothing", "another job"])
def test_a_service_that_is_not_there_is_down(series: dict[str, str], tmp_path: Path) -> None:
    _check(tmp_path, series, {"ComparefaceDown"})


def test_a_service_that_does_not_answer_is_down(tmp_path: Path) -> None:
    series = {'up{job="compareface",instance="a"}': "0x120"}
    _check(tmp_path, series, {"ComparefaceDown", "ComparefaceInstanceDown"})


def test_every_alert_is_tried() -> None:
    assert {each.name for each in alerts()} == {*_TROUBLE, "ComparefaceDown"}
