"""Install what ``make manifests`` needs into ``.manifests``: Helm, kustomize, kubeconform, and Kubernetes schemas.

The programs are built through the Go module proxy. The schemas come from the Python package ``kubernetes-validate`` and
from the sources of the Prometheus operator. Existing programs are not built again.
"""

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.rendering import SCHEMAS, TOOLS

KUBERNETES = "1.34.0"
"""Version of the schemas; the resources in use are the same since 1.25."""

_PROGRAMS = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
}
_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_OPERATOR_KINDS = ("servicemonitor", "prometheusrule")
_TIMEOUT_S = 600


def build() -> None:
    """Build the programs."""
    for name, module in _PROGRAMS.items():
        if not (TOOLS / "bin" / name).exists():
            environment = {**os.environ, "GOBIN": str(TOOLS / "bin")}
            subprocess.run(["go", "install", module], env=environment, check=True, timeout=_TIMEOUT_S)


def write_kubernetes_schemas() -> None:
    """Write the strict Kubernetes schemas, with references between local files."""
    published = Path(str(files("kubernetes_validate"))) / f"kubernetes-json-schema/v{KUBERNETES}-local-strict"
    SCHEMAS.mkdir(exist_ok=True)
    for path in sorted(published.glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8").replace('"/api/_definitions.json#', '"_definitions.json#'))
        (SCHEMAS / path.name).write_text(json.dumps({key: value for key, value in schema.items() if key != "$id"}))


def write_operator_schemas() -> None:
    """Write the schemas of the Prometheus operator to the folder that kubeconform reads."""
    command = ["go", "mod", "download", "-json", _OPERATOR]
    download = subprocess.run(command, cwd=TOOLS, capture_output=True, check=True, timeout=_TIMEOUT_S)
    folder = Path(json.loads(download.stdout)["Dir"]) / "example/prometheus-operator-crd"
    for kind in _OPERATOR_KINDS:
        text = (folder / f"monitoring.coreos.com_{kind}s.yaml").read_text(encoding="utf-8")
        (version,) = yaml.safe_load(text)["spec"]["versions"]
        schema = _closed(version["schema"]["openAPIV3Schema"])
        (SCHEMAS / f"{kind}-monitoring-v1.json").write_text(json.dumps(schema))


def _closed(schema: Any) -> Any:
    """Forbid what a schema does not name, as the API server does under strict field validation."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _closed(item) for name, item in schema.items()}
    # A property may itself be called `properties`; metadata is a bare object and stays open.
    is_closed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    return {**inner, "additionalProperties": False} if is_closed else inner


if __name__ == "__main__":
    TOOLS.mkdir(exist_ok=True)
    build()
    write_kubernetes_schemas()
    write_operator_schemas()
