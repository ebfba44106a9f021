"""``make manifests``: every overlay, with each component and with all, passes kubeconform's strict look."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.rendering import COMPONENTS, OVERLAYS, TOOLS, Document, render
from tests.deploy.tools import SCHEMAS

_KUSTOMIZE, _KUBECONFORM = TOOLS / "bin/kustomize", TOOLS / "bin/kubeconform"

pytestmark = [
    pytest.mark.manifests,
    pytest.mark.skipif(
        not (_KUSTOMIZE.exists() and _KUBECONFORM.exists() and SCHEMAS.is_dir()),
        reason="kustomize, kubeconform or the schemas of Kubernetes are not here; `make manifests` gets them",
    ),
]

_CHOICES = {"none": (), **{name: (name,) for name in COMPONENTS}, "all": COMPONENTS}


def _conform(documents: list[Document]) -> subprocess.CompletedProcess[str]:
    place = f"{SCHEMAS}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    command = [str(_KUBECONFORM), "-strict", "-summary", "-verbose", "-schema-location", place]
    return subprocess.run(
        command, input=yaml.safe_dump_all(documents), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("choice", _CHOICES)
def test_what_is_rendered_is_valid(overlay: str, choice: str, tmp_path: Path) -> None:
    documents = render([str(_KUSTOMIZE), "build"], tmp_path, overlay, _CHOICES[choice])
    made = _conform(documents)
    print(made.stdout + made.stderr)  # noqa: T201 - what `make manifests` shows
    assert made.returncode == 0
    assert f"Valid: {len(documents)}, Invalid: 0, Errors: 0, Skipped: 0" in made.stdout


@pytest.mark.parametrize(
    ("kind", "where", "wrong"),
    [
        ("Deployment", ("spec", "template", "spec"), {"terminationGracePeriod": 50}),
        ("Deployment", ("spec",), {"replicas": "two"}),
        ("NetworkPolicy", ("spec",), {"egres": []}),
        ("HorizontalPodAutoscaler", ("spec",), {"maxReplicas": None}),
        ("ServiceMonitor", ("spec",), {"endpoint": []}),
        ("PrometheusRule", ("spec",), {"group": []}),
    ],
)
def test_a_mistake_is_seen(kind: str, where: tuple[str, ...], wrong: Document, tmp_path: Path) -> None:
    documents = render([str(_KUSTOMIZE), "build"], tmp_path, "cpu", COMPONENTS)
    part = next(each for each in documents if each["kind"] == kind)
    for name in where:
        part = part[name]
    part.update(wrong)
    made = _conform(documents)
    assert made.returncode == 1
    assert "Invalid: 1, Errors: 0" in made.stdout
