"""The dashboard and the alerts ask for metrics and labels that a real service has."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import Request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.dashboard import Ask
from tests.support.images import astronaut, jpeg
from tests.support.monitoring import ALERTS, Watched, alerts, panels
from tests.support.server import HOST, Server, free_port, open_here, running_server

_SETTINGS = {"COMPAREFACE_METRICS__ENABLED": "true", "COMPAREFACE_RUNTIME__DEVICE": "cuda"}
_OF_THE_SCRAPE = {"job", "instance"}
_LEGENDS = re.compile(r"{{(\w+)}}")
_METRIC = re.compile(r"\b((?:compareface|process)_\w+)(?:{([^}]*)})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")
_WATCHED = [*panels(), *alerts()]


def _ask(server: Server, action: str, body: dict[str, object]) -> None:
    data = json.dumps(body).encode()
    open_here(Request(f"http://{server.endpoint}/", data, server.headers(action, data)), timeout=60).close()


def _families(served: dict[str, set[str]]) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in served if name.startswith("compareface_")}


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """Names of the samples of a service that has answered some requests -> their labels.

    The CPU goes by the name of a GPU, so that there are batches.
    """
    picture = base64.b64encode(jpeg(astronaut())).decode()
    with running_server(_SETTINGS, program="-m benchmarks.as_gpu") as server:
        _ask(server, "CompareFace", {"ImageA": picture, "ImageB": picture, "QualityControl": 1})
        _ask(server, "DetectFace", {"Image": picture})
        with open_here(f"http://{server.endpoint}/metrics", timeout=10) as reply:
            text = reply.read().decode()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.mark.parametrize("watched", _WATCHED, ids=lambda watched: watched.name)
def test_what_is_asked_for_exists(watched: Watched, served: dict[str, set[str]]) -> None:
    asked = _METRIC.findall(watched.expression)
    assert [name for name, _ in asked if name not in served] == []
    known = _OF_THE_SCRAPE.union(*(served[name] for name, _ in asked))
    for name, matchers in asked:
        assert set(re.findall(r"(\w+)=", matchers)) <= served[name] | _OF_THE_SCRAPE
    grouped = {label.strip() for group in _GROUPED.findall(watched.expression) for label in group.split(",")}
    assert grouped | set(_LEGENDS.findall(watched.legend)) <= known


def test_every_metric_of_ours_is_shown(served: dict[str, set[str]]) -> None:
    expressions = " ".join(watched.expression for watched in _WATCHED)
    assert len(_families(served)) >= 9
    assert [name for name in _families(served) if name not in expressions] == []


def test_every_metric_of_ours_is_documented(served: dict[str, set[str]]) -> None:
    readme = (Path(__file__).resolve().parents[2] / "deploy/README.md").read_text("utf-8")
    assert [name for name in _families(served) if f"`{name}`" not in readme] == []


def test_prometheus_is_asked_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{free_port()}")

    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": 1}')

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    with HTTPServer((HOST, 0), Prometheus) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert Ask(server.server_port)("/api/v1/rules") == 1


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    records = [{"record": f"panel:{index}", "expr": panel.expression} for index, panel in enumerate(panels())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    for rules in (ALERTS, tmp_path / "panels.yml"):
        subprocess.run(["promtool", "check", "rules", str(rules)], check=True, capture_output=True)
