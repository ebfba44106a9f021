"""The Prometheus queries of the dashboard and of the alerts, and a client for Prometheus."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.server import HOST, open_without_proxy

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = _DEPLOY / "grafana/compareface.json"
ALERTS = _DEPLOY / "prometheus/alerts.yml"

_VARIABLES = {"$__rate_interval": "30s", "$instance": ".+"}
_COMPARISON = re.compile(r"(?P<value>.+) [<>] [0-9.]+", re.DOTALL)


class Query(NamedTuple):
    """The query of a panel, or the value that an alert compares."""

    name: str
    expression: str
    legend: str = ""


def panels() -> list[Query]:
    """Return the queries of all panels, as Grafana sends them for all instances."""
    queries = []
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            queries.append(Query(panel["title"], expression, target["legendFormat"]))
    return queries


def alerts() -> list[Query]:
    """Return the expressions that the alerts compare with their thresholds."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
    return [Query(rule["alert"], _value(rule["expr"])) for rule in rules]


def _value(expression: str) -> str:
    match = _COMPARISON.fullmatch(expression.strip())
    if not match:
        raise ValueError(f"not a value, a comparison and a number: {expression}")
    return match["value"]


class PrometheusClient:
    """The HTTP API of a Prometheus server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, path: str) -> Any:
        with open_without_proxy(f"http://{HOST}:{self._port}{path}", timeout=10) as reply:
            return json.load(reply)["data"]
