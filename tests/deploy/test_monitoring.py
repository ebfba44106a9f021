"""The dashboard and the alerts use metrics and labels that a real service has."""

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

from tests.support.images import astronaut, jpeg
from tests.support.monitoring import ALERTS, PrometheusClient, Query, alerts, panels
from tests.support.server import HOST, Server, free_port, open_without_proxy, running_server

_SETTINGS = {"COMPAREFACE_METRICS__ENABLED": "true", "COMPAREFACE_RUNTIME__DEVICE": "cuda"}
_SCRAPE_LABELS = {"job", "instance"}
_LEGENDS = re.compile(r"{{(\w+)}}")
_METRIC = re.compile(r"\b((?:compareface|process)_\w+)(?:{([^}]*)})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")
_QUERIES = [*panels(), *alerts()]


def _call(server: Server, action: str, body: dict[str, object]) -> None:
    data = json.dumps(body).encode()
    open_without_proxy(Request(f"http://{server.endpoint}/", data, server.headers(action, data)), timeout=60).close()


def _families(served: dict[str, set[str]]) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in served if name.startswith("compareface_")}


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """Return the labels of each sample of a service after some requests; it runs the CPU as a GPU, to form batches."""
    image = base64.b64encode(jpeg(astronaut())).decode()
    with running_server(_SETTINGS, program="-m tests.support.cpu_as_gpu") as server:
        _call(server, "CompareFace", {"ImageA": image, "ImageB": image, "QualityControl": 1})
        _call(server, "DetectFace", {"Image": image})
        with open_without_proxy(f"http://{server.endpoint}/metrics", timeout=10) as reply:
            text = reply.read().decode()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.mark.parametrize("query", _QUERIES, ids=lambda query: query.name)
def test_every_query_uses_existing_metrics(query: Query, served: dict[str, set[str]]) -> None:
    metrics = _METRIC.findall(query.expression)
    assert [name for name, _ in metrics if name not in served] == []
    known = _SCRAPE_LABELS.union(*(served[name] for name, _ in metrics))
    for name, matchers in metrics:
        assert set(re.findall(r"(\w+)=", matchers)) <= served[name] | _SCRAPE_LABELS
    grouped = {label.strip() for group in _GROUPED.findall(query.expression) for label in group.split(",")}
    assert grouped | set(_LEGENDS.findall(query.legend)) <= known


def test_every_metric_is_shown(served: dict[str, set[str]]) -> None:
    expressions = " ".join(query.expression for query in _QUERIES)
    assert len(_families(served)) >= 9
    assert [name for name in _families(served) if name not in expressions] == []


def test_every_metric_is_documented(served: dict[str, set[str]]) -> None:
    readme = (Path(__file__).resolve().parents[2] / "deploy/README.md").read_text("utf-8")
    assert [name for name in _families(served) if f"`{name}`" not in readme] == []


def test_the_prometheus_client_ignores_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{HOST}:{free_port()}")

    class FakePrometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": 1}')

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    with HTTPServer((HOST, 0), FakePrometheus) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert PrometheusClient(server.server_port)("/api/v1/rules") == 1


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_accepts_every_expression(tmp_path: Path) -> None:
    records = [{"record": f"panel:{index}", "expr": panel.expression} for index, panel in enumerate(panels())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    for rules in (ALERTS, tmp_path / "panels.yml"):
        subprocess.run(["promtool", "check", "rules", str(rules)], check=True, capture_output=True)
