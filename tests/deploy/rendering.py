"""Kustomize over a copy of ``deploy/k8s`` with a file of keys in it, as an operator would have it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/k8s"
TOOLS = ROOT / ".manifests"
"""What ``make manifests`` builds."""

OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir()))
COMPONENTS = tuple(sorted(path.name for path in (MANIFESTS / "components").iterdir()))

# A document's shape is what the schemas say; mypy need not know it.
Document: TypeAlias = dict[str, Any]


def kustomize() -> list[str] | None:
    """Return the command that renders a folder, if there is one on this machine."""
    own = shutil.which("kustomize", path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if own:
        return [own, "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def render(command: Sequence[str], folder: Path, overlay: str, components: Sequence[str]) -> list[Document]:
    """Return the documents of an overlay with exactly ``components``."""
    here = folder / "k8s"
    shutil.copytree(MANIFESTS, here, dirs_exist_ok=True)
    (here / "components/keys/keys.toml").write_text('[callers.AKIDtest]\nkeys = [{ label = "1", secret_key = "k" }]\n')
    chosen = here / "overlays" / overlay / "kustomization.yaml"
    told = yaml.safe_load(chosen.read_text(encoding="utf-8"))
    told["components"] = [f"../../components/{name}" for name in components]
    chosen.write_text(yaml.safe_dump(told))
    made = subprocess.run([*command, str(chosen.parent)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return list(yaml.safe_load_all(made.stdout))


def sources() -> dict[Path, list[Document]]:
    """Every YAML file, not rendered."""
    return {path: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in MANIFESTS.rglob("*.yaml")}


def one(documents: Sequence[Document], kind: str, name: str = "") -> Document:
    """Return the one document of ``kind`` (and ``name``)."""
    found = [each for each in documents if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def strings(value: object) -> Iterator[str]:
    """Every key and text in a document, also those of patches written as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value
