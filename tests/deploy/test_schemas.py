"""``make manifests``: every overlay, with each component and with all, passes kubeconform in strict mode."""

from pathlib import Path

import pytest

from tests.deploy.rendering import COMPONENTS, OVERLAYS, SCHEMAS, TOOLS, Document, kubeconform, render

_KUSTOMIZE, _KUBECONFORM = TOOLS / "bin/kustomize", TOOLS / "bin/kubeconform"

pytestmark = [
    pytest.mark.manifests,
    pytest.mark.skipif(
        not (_KUSTOMIZE.exists() and _KUBECONFORM.exists() and SCHEMAS.is_dir()),
        reason="kustomize, kubeconform or the Kubernetes schemas are missing; `make manifests` installs them",
    ),
]

_CHOICES = {"none": (), **{name: (name,) for name in COMPONENTS}, "all": COMPONENTS}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("choice", _CHOICES)
def test_rendered_manifests_are_valid(overlay: str, choice: str, tmp_path: Path) -> None:
    documents = render([str(_KUSTOMIZE), "build"], tmp_path, overlay, _CHOICES[choice])
    result = kubeconform(documents)
    print(result.stdout + result.stderr)  # noqa: T201 - the output of `make manifests`
    assert result.returncode == 0
    assert f"Valid: {len(documents)}, Invalid: 0, Errors: 0, Skipped: 0" in result.stdout


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
def test_an_invalid_manifest_fails(kind: str, where: tuple[str, ...], wrong: Document, tmp_path: Path) -> None:
    documents = render([str(_KUSTOMIZE), "build"], tmp_path, "cpu", COMPONENTS)
    part = next(item for item in documents if item["kind"] == kind)
    for name in where:
        part = part[name]
    part.update(wrong)
    result = kubeconform(documents)
    assert result.returncode == 1
    assert "Invalid: 1, Errors: 0" in result.stdout
