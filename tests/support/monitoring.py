"""What `deploy` asks of Prometheus: the expressions of the dashboard's panels and of the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import yaml

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = _DEPLOY / "grafana/compareface.json"
ALERTS = _DEPLOY / "prometheus/alerts.yml"

_VARIABLES = {"$__rate_interval": "30s", "$instance": ".+"}
_COMPARISON = re.compile(r"(?P<value>.+) [<>] [0-9.]+", re.DOTALL)


class Watched(NamedTuple):
    """A panel or an alert, and what it shows or judges."""

    name: str
    expression: str
    legend: str = ""


def panels() -> list[Watched]:
    """Return the queries of all panels, as Grafana sends them with all instances chosen."""
    found = []
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            found.append(Watched(panel["title"], expression, target["legendFormat"]))
    return found


def alerts() -> list[Watched]:
    """Return the values that the alerts compare with their thresholds."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
    return [Watched(rule["alert"], _value(rule["expr"])) for rule in rules]


def _value(expression: str) -> str:
    found = _COMPARISON.fullmatch(expression.strip())
    if not found:
        raise ValueError(f"not a value, a comparison and a number: {expression}")
    return found["value"]
