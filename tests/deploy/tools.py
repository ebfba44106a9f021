"""What ``make manifests`` needs, into ``.manifests``: kustomize and kubeconform, built through the Go module proxy, and
the schemas that kubeconform would download.

Kubernetes' own come with the Python package ``kubernetes-validate``, those of ServiceMonitor and PrometheusRule with
the sources of the Prometheus operator. ``python -m tests.deploy.tools`` makes it; programs that are there are not
built again.
"""

from __future__ import annotations

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.rendering import TOOLS

KUBERNETES = "1.34.0"
"""Whose schemas are asked; all resources used are as they were in 1.25."""

SCHEMAS = TOOLS / "schemas"

_PROGRAMS = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
}
_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_OF_OPERATOR = ("servicemonitor", "prometheusrule")
_PATIENCE_S = 600


def build() -> None:
    """Build the programs."""
    for name, module in _PROGRAMS.items():
        if not (TOOLS / "bin" / name).exists():
            environment = {**os.environ, "GOBIN": str(TOOLS / "bin")}
            subprocess.run(["go", "install", module], env=environment, check=True, timeout=_PATIENCE_S)


def write_kubernetes_schemas() -> None:
    """Write Kubernetes' schemas that let nothing unknown pass, which refer to each other from where they lie."""
    published = Path(str(files("kubernetes_validate"))) / f"kubernetes-json-schema/v{KUBERNETES}-local-strict"
    SCHEMAS.mkdir(exist_ok=True)
    for path in sorted(published.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8").replace('"/api/_definitions.json#', '"_definitions.json#'))
        (SCHEMAS / path.name).write_text(json.dumps({key: value for key, value in schema.items() if key != "$id"}))


def write_operator_schemas() -> None:
    """Write the schemas of the Prometheus operator's kinds where kubeconform looks for them."""
    command = ["go", "mod", "download", "-json", _OPERATOR]
    told = subprocess.run(command, cwd=TOOLS, capture_output=True, check=True, timeout=_PATIENCE_S)
    folder = Path(json.loads(told.stdout)["Dir"]) / "example/prometheus-operator-crd"
    for kind in _OF_OPERATOR:
        text = (folder / f"monitoring.coreos.com_{kind}s.yaml").read_text(encoding="utf-8")
        (version,) = yaml.safe_load(text)["spec"]["versions"]
        schema = _closed(version["schema"]["openAPIV3Schema"])
        (SCHEMAS / f"{kind}-monitoring-v1.json").write_text(json.dumps(schema))


def _closed(schema: Any) -> Any:
    """Forbid what a schema does not name, as the API server does under strict field validation."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _closed(each) for name, each in schema.items()}
    # A property may itself be called `properties`; metadata is a bare object and stays open.
    is_closed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    return {**inner, "additionalProperties": False} if is_closed else inner


if __name__ == "__main__":
    TOOLS.mkdir(exist_ok=True)
    build()
    write_kubernetes_schemas()
    write_operator_schemas()
