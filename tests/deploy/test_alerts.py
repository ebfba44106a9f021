"""The alerts in promtool: each fires for its cause, and none for a healthy or idle service."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.monitoring import ALERTS, alerts

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")

# Values every 15 s for half an hour: `0+3x120` is 0, 3, 6 ...
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
_CAUSES = {
    "ComparefaceInstanceDown": {'up{job="compareface",instance="b"}': "0x120"},
    "ComparefaceDefects": {'compareface_requests_total{instance="a",code="FailedOperation.ServerError"}': "0+20x120"},
    "ComparefaceTimeouts": {
        'compareface_requests_total{instance="a",code="FailedOperation.RequestTimeout"}': "0+20x120"
    },
    "ComparefaceSlow": {'compareface_request_seconds_bucket{instance="a",action="CompareFace",le="2.0"}': "0+980x120"},
    "ComparefaceRejects": {'compareface_requests_total{instance="a",code="RequestLimitExceeded"}': "0+100x120"},
    "ComparefaceDecodersCrash": {'compareface_decoder_restarts_total{instance="a"}': "0x60 0+1x5 5x54"},
}


def _check(folder: Path, series: Mapping[str, str], firing: set[str], at: str = "20m") -> None:
    """Have ``promtool`` say whether exactly these alerts fire."""
    expression_test = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)],
    }
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [expression_test],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("series", [_IDLE, _WELL], ids=["idle", "well"])
def test_no_alert_fires_on_a_healthy_service(series: dict[str, str], tmp_path: Path) -> None:
    _check(tmp_path, series, set())


@pytest.mark.parametrize("name", _CAUSES)
def test_each_alert_fires_for_its_own_cause_only(name: str, tmp_path: Path) -> None:
    _check(tmp_path, _WELL | _CAUSES[name], {name})


@pytest.mark.parametrize("series", [{}, {'up{job="another"}': "1x120"}], ids=["nothing", "another job"])
def test_a_missing_service_is_down(series: dict[str, str], tmp_path: Path) -> None:
    _check(tmp_path, series, {"ComparefaceDown"})


def test_a_silent_service_is_down(tmp_path: Path) -> None:
    series = {'up{job="compareface",instance="a"}': "0x120"}
    _check(tmp_path, series, {"ComparefaceDown", "ComparefaceInstanceDown"})


def test_every_alert_has_a_test_series() -> None:
    assert {item.name for item in alerts()} == {*_CAUSES, "ComparefaceDown"}
