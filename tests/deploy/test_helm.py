"""``make manifests``: the chart renders the same objects as kustomize; its options render valid ones."""

import re
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import app
from app.environment import settings_fields
from tests.deploy.rendering import (
    CHART,
    COMPONENTS,
    KEYS,
    MANIFESTS,
    TOOLS,
    Document,
    document,
    helm_template,
    kubeconform,
    render,
)

_KUSTOMIZE = TOOLS / "bin/kustomize"
_DEVICES = {"cpu": "cpu", "gpu": "cuda"}
_COLLECTOR = "http://collector.observability.svc.cluster.local:4318/v1/traces"
_VALUES: Mapping[str, Document] = {
    "alerts": {"alerts": {"enabled": True}},
    "in-flight": {"autoscaling": {"inFlight": {"enabled": True}}},
    "ingress": {"ingress": {"enabled": True}},
    "keys": {"keys": {"enabled": True, "file": KEYS}},
    "service-monitor": {"serviceMonitor": {"enabled": True}},
    "tls": {"tls": {"enabled": True}},
    "traces": {"traces": {"endpoint": _COLLECTOR}},
    "url-input": {"urlInput": {"enabled": True}},
}
"""The chart's values for each component of kustomize."""

_NO_COMPONENT: Document = {"keys": {"enabled": False}, "ingress": {"enabled": False}}
_CHOICES = {
    "none": (),
    **{name: (name,) for name in COMPONENTS},
    "all but tls": tuple(name for name in COMPONENTS if name != "tls"),
    "all but ingress": tuple(name for name in COMPONENTS if name != "ingress"),
}

needs_tools = pytest.mark.skipif(
    not all((TOOLS / path).exists() for path in ("bin/helm", "bin/kustomize", "bin/kubeconform", "schemas")),
    reason="Helm, kustomize, kubeconform or the Kubernetes schemas are missing; `make manifests` installs them",
)
pytestmark = pytest.mark.manifests


def _rendered(values: Document) -> list[Document]:
    result = helm_template(values)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def _by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    """Index documents by kind and name; sort lists whose order has no meaning, and decode the data of Secrets."""
    normalised = {(item["kind"], item["metadata"]["name"]): _sorted(item) for item in documents}
    assert len(normalised) == len(documents)
    for item in normalised.values():
        if item["kind"] == "Secret":
            item["data"] = {name: b64decode(text) for name, text in item["data"].items()}
    return normalised


def _sorted(value: Any) -> Any:
    """Sort lists of named items: env, ports, volumes and their mounts."""
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_sorted(item) for item in value]
        is_named = all(isinstance(item, dict) and "name" in item for item in items)
        return sorted(items, key=lambda item: item["name"]) if is_named else items
    return value


@needs_tools
@pytest.mark.parametrize("overlay", _DEVICES)
@pytest.mark.parametrize("choice", _CHOICES)
def test_chart_and_kustomize_render_the_same_objects(overlay: str, choice: str, tmp_path: Path) -> None:
    values = {"device": _DEVICES[overlay], **_NO_COMPONENT}
    for component in _CHOICES[choice]:
        values |= _VALUES[component]
    expected = render([str(_KUSTOMIZE), "build"], tmp_path, overlay, _CHOICES[choice])
    assert _by_name(_rendered(values)) == _by_name(expected)


@needs_tools
@pytest.mark.parametrize("overlay", _DEVICES)
def test_the_default_values_equal_the_overlay(overlay: str, tmp_path: Path) -> None:
    kustomization = yaml.safe_load((MANIFESTS / "overlays" / overlay / "kustomization.yaml").read_text("utf-8"))
    components = [Path(path).name for path in kustomization["components"]]
    expected = render([str(_KUSTOMIZE), "build"], tmp_path, overlay, components)
    rendered = _rendered({"device": _DEVICES[overlay], "keys": {"file": KEYS}})
    assert _by_name(rendered) == _by_name(expected)


_OPTIONS: Mapping[str, Document] = {
    "replicas": {"autoscaling": {"enabled": False}, "replicas": 3},
    "secret": {"keys": {"enabled": True, "existingSecret": "sealed"}},
    "resources": {"device": "cuda", "resources": {"limits": {"memory": "8Gi"}}},
    "settings": {"settings": {"COMPAREFACE_LIMITS__MIN_BODY_RATE": 20000000, "COMPAREFACE_MODELS__REQUIRE_FIT": False}},
    "labels": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}, "alerts": {"enabled": True}},
    "tag": {"image": {"repository": "ghcr.io/owner/compareface", "tag": "1.2.3@sha256:" + 64 * "0"}},
    "annotations": {"ingress": {"annotations": {"cert-manager.io/cluster-issuer": "internal"}}},
}
"""Values without a counterpart in kustomize."""


@pytest.fixture(scope="module")
def options() -> dict[str, list[Document]]:
    """The documents of each option."""
    return {name: _rendered({"keys": {"file": KEYS}, **values}) for name, values in _OPTIONS.items()}


def _pod(documents: list[Document]) -> Document:
    return dict(document(documents, "Deployment")["spec"]["template"]["spec"])


@needs_tools
@pytest.mark.parametrize("option", _OPTIONS)
def test_options_render_valid_objects(option: str, options: dict[str, list[Document]]) -> None:
    result = kubeconform(options[option])
    print(result.stdout + result.stderr)  # noqa: T201 - the output of `make manifests`
    assert result.returncode == 0
    assert f"Valid: {len(options[option])}, Invalid: 0, Errors: 0, Skipped: 0" in result.stdout


@needs_tools
def test_options_reach_their_objects(options: dict[str, list[Document]]) -> None:
    assert document(options["replicas"], "Deployment")["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in {item["kind"] for item in options["replicas"]}
    assert "Secret" not in {item["kind"] for item in options["secret"]}
    assert [volume["secret"]["secretName"] for volume in _pod(options["secret"])["volumes"] if "secret" in volume] == [
        "sealed"
    ]
    (container,) = _pod(options["resources"])["containers"]
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}
    (container,) = _pod(options["settings"])["containers"]
    values = [(entry["name"], entry["value"]) for entry in container["env"]]
    assert len(dict(values)) == len(values)
    assert dict(values)["COMPAREFACE_LIMITS__MIN_BODY_RATE"] == "20000000"
    assert dict(values)["COMPAREFACE_MODELS__REQUIRE_FIT"] == "false"
    labels = document(options["labels"], "ServiceMonitor")["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "compareface", "release": "prometheus"}
    (container,) = _pod(options["tag"])["containers"]
    assert container["image"].startswith("ghcr.io/owner/compareface:1.2.3@sha256:")
    annotations = document(options["annotations"], "Ingress")["metadata"]["annotations"]
    assert annotations["cert-manager.io/cluster-issuer"] == "internal"
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "12m"


@needs_tools
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keys": {}}, "no keys: use --set-file keys.file=keys.toml"),
        ({"keys": {"file": KEYS, "existingSecret": "sealed"}}, "either keys.file or keys.existingSecret"),
        ({"tls": {"enabled": True}}, "ingress.enabled and tls.enabled exclude each other"),
        ({"device": "gpu"}, "at '/device': value must be one of 'cpu', 'cuda'"),
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"autoscaling": {"max": 3}}, "additional properties 'max' not allowed"),
        ({"settings": {"LIMITS__MAX_IN_FLIGHT": 64}}, "additional properties 'LIMITS__MAX_IN_FLIGHT' not allowed"),
        ({"traces": {"endpoint": "http://localhost:4318"}}, "at '/traces/endpoint'"),
        ({"image": {"tag": 1.2}}, "at '/image/tag': got number, want string"),
    ],
)
def test_wrong_values_are_refused(values: Document, message: str) -> None:
    result = helm_template({"keys": {"file": KEYS}, **values})
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stdout == ""


@needs_tools
def test_helm_finds_no_fault_in_the_chart() -> None:
    command = [str(TOOLS / "bin/helm"), "lint", "--strict", str(CHART), "--set", "keys.file=x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_chart_has_the_version_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (app.__version__, app.__version__)


def test_every_setting_in_the_chart_exists() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (CHART / "templates").iterdir())
    named = set(re.findall(r"COMPAREFACE_[A-Z0-9]+__[A-Z0-9_]+", text))
    assert len(named) > 6
    assert named <= settings_fields().keys()


def test_the_chart_links_to_the_files_of_prometheus_and_kustomize() -> None:
    assert {path.name: path.resolve().relative_to(MANIFESTS.parent).as_posix() for path in CHART.glob("files/*")} == {
        "alerts.yml": "prometheus/alerts.yml",
        "url-input.yaml": "k8s/components/url-input/network.yaml",
    }
