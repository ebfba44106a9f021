"""Render ``deploy/k8s`` by kustomize and ``deploy/helm`` by Helm, as an operator would, and validate the documents."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/k8s"
CHART = ROOT / "deploy/helm/compareface"
TOOLS = ROOT / ".manifests"
"""Tools that ``make manifests`` builds."""
SCHEMAS = TOOLS / "schemas"
KEYS = '[callers.AKIDtest]\nkeys = [{ label = "1", secret_key = "k" }]\n'
"""A key file."""

OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
COMPONENTS = tuple(sorted(path.name for path in (MANIFESTS / "components").iterdir()))

# The Kubernetes schemas describe a document; mypy does not need to.
Document: TypeAlias = dict[str, Any]


def kustomize() -> list[str] | None:
    """Return the command that renders a folder, or None if it is not installed."""
    program = shutil.which("kustomize", path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if program:
        return [program, "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def render(command: Sequence[str], folder: Path, overlay: str, components: Sequence[str]) -> list[Document]:
    """Return the documents of an overlay with exactly ``components``."""
    copy = folder / "k8s"
    shutil.copytree(MANIFESTS, copy, dirs_exist_ok=True)
    (copy / "components/keys/keys.toml").write_text(KEYS)
    kustomization = copy / "overlays" / overlay / "kustomization.yaml"
    overlay_config = yaml.safe_load(kustomization.read_text(encoding="utf-8"))
    overlay_config["components"] = [f"../../components/{name}" for name in components]
    kustomization.write_text(yaml.safe_dump(overlay_config))
    rendered = subprocess.run([*command, str(kustomization.parent)], capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


def helm_template(values: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    """Render the chart with ``values`` in place of its defaults."""
    command = [str(TOOLS / "bin/helm"), "template", "compareface", str(CHART), "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False, timeout=60)


def kubeconform(documents: Sequence[Document]) -> subprocess.CompletedProcess[str]:
    """Validate documents by the schemas of Kubernetes and of the Prometheus operator."""
    place = f"{SCHEMAS}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    command = [str(TOOLS / "bin/kubeconform"), "-strict", "-summary", "-verbose", "-schema-location", place]
    return subprocess.run(
        command, input=yaml.safe_dump_all(documents), capture_output=True, text=True, check=False, timeout=60
    )


def sources() -> dict[Path, list[Document]]:
    """Every YAML file, not rendered."""
    return {path: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in MANIFESTS.rglob("*.yaml")}


def document(documents: Sequence[Document], kind: str, name: str = "") -> Document:
    """Return the only document of ``kind`` (and ``name``)."""
    matches = [item for item in documents if item["kind"] == kind and name in ("", item["metadata"]["name"])]
    assert len(matches) == 1, (kind, name, len(matches))
    return matches[0]


def strings(value: object) -> Iterator[str]:
    """Yield every key and string of a document, patches written as text included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value
