"""``deploy/k8s``: what it sets exists, what belongs together agrees, and a pod may do no more than it must."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.routing import Route

from app.api.routes import routes
from app.environment import environment_names
from app.imaging.address import is_public
from app.ops.metrics import Metrics
from app.settings import MetricsSettings
from tests.deploy.rendering import COMPONENTS, OVERLAYS, Document, kustomize, one, render, sources, strings
from tests.support.monitoring import ALERTS, alerts, panels

_LABELS = {"app.kubernetes.io/name": "compareface"}
_USUAL = ("keys", "ingress")


@pytest.fixture(scope="module", params=OVERLAYS)
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """An overlay with every component."""
    command = kustomize()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is here; `make manifests` builds the former")
    return render(command, tmp_path_factory.mktemp("k8s"), request.param, COMPONENTS)


def _container(documents: list[Document]) -> Document:
    containers = one(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    return dict(containers[0])


def _environment(container: Document) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_every_setting_named_in_a_manifest_exists() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    named = set(re.findall(r"COMPAREFACE_[A-Z0-9]+__[A-Z0-9_]+", text))
    assert len(named) > 6
    assert named - set(environment_names()) == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_component_is_one_line_of_an_overlay(overlay: str) -> None:
    (path,) = [path for path in sources() if path.parent.name == overlay and path.name == "kustomization.yaml"]
    lines = re.findall(r"^  (?:# )?- \.\./\.\./components/(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(lines) == sorted(COMPONENTS)


def test_no_key_is_kept_with_the_manifests() -> None:
    files = [path.name for path in (next(iter(sources())).parents[2] / "components/keys").iterdir()]
    assert "keys.example.toml" in files
    assert [each for documents in sources().values() for each in documents if each["kind"] == "Secret"] == []


def test_the_job_is_called_as_alerts_and_dashboard_have_it(everything: list[Document]) -> None:
    label = one(everything, "ServiceMonitor")["spec"]["jobLabel"]
    job = one(everything, "Service")["metadata"]["labels"][label]
    asked = {name for each in (*panels(), *alerts()) for name in re.findall(r'job="(\w+)"', each.expression)}
    assert asked == {job}


def test_selectors_find_the_pods_and_nothing_else(everything: list[Document]) -> None:
    deployment = one(everything, "Deployment")
    assert deployment["spec"]["template"]["metadata"]["labels"] == _LABELS
    assert deployment["spec"]["selector"]["matchLabels"] == _LABELS
    assert one(everything, "Service")["spec"]["selector"] == _LABELS
    assert one(everything, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == _LABELS
    assert one(everything, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items() <= (
        one(everything, "Service")["metadata"]["labels"].items()
    )
    policies = [each for each in everything if each["kind"] == "NetworkPolicy"]
    assert len(policies) == 4
    assert [each["spec"]["podSelector"] for each in policies] == [{"matchLabels": _LABELS}] * 4
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["labelSelector"]["matchLabels"] for each in spread] == [_LABELS] * 2
    assert one(everything, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"],
    }  # fmt: skip


def test_ports_agree_from_the_host_name_to_the_process(everything: list[Document]) -> None:
    container = _container(everything)
    (port,) = container["ports"]
    assert str(port["containerPort"]) == _environment(container)["COMPAREFACE_SERVER__PORT"]
    (served,) = one(everything, "Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    rule = one(everything, "Ingress")["spec"]["rules"][0]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == (
        one(everything, "Service")["metadata"]["name"],
        served["name"],
    )
    assert rule["host"].startswith("iai.")
    assert one(everything, "Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert (path["path"], path["pathType"]) == ("/", "Exact")
    (inwards,) = one(everything, "NetworkPolicy", "compareface")["spec"]["ingress"]
    assert [each["port"] for each in inwards["ports"]] == [port["containerPort"]]
    assert one(everything, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == served["name"]


def test_probes_ask_for_what_is_served(everything: list[Document]) -> None:
    container = _container(everything)
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz",
    }  # fmt: skip
    served = {each.path for each in routes(MetricsSettings()) if isinstance(each, Route)}
    assert {probe["path"] for probe in probes.values()} <= served
    assert {probe["port"] for probe in probes.values()} == {container["ports"][0]["name"]}


def test_what_is_counted_is_served_and_scaled_by(everything: list[Document]) -> None:
    assert _environment(_container(everything))["COMPAREFACE_METRICS__ENABLED"] == "true"
    served = {each.path for each in routes(MetricsSettings(enabled=True)) if isinstance(each, Route)}
    assert one(everything, "ServiceMonitor")["spec"]["endpoints"][0]["path"] in served
    asked = [each["pods"]["metric"]["name"] for each in _metrics(everything) if each["type"] == "Pods"]
    assert [f"# TYPE {name} gauge" in Metrics().render().decode() for name in asked] == [True]


def _metrics(documents: list[Document]) -> list[Document]:
    return list(one(documents, "HorizontalPodAutoscaler")["spec"]["metrics"])


def test_the_alerts_are_those_of_the_rules_file() -> None:
    (rule,) = [document for path, (document, *_) in sources().items() if path.match("components/alerts/rule.yaml")]
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text("utf-8"))


def test_spans_may_go_where_they_are_sent(everything: list[Document]) -> None:
    collector = urlsplit(_environment(_container(everything))["COMPAREFACE_TRACES__ENDPOINT"])
    (rule,) = one(everything, "NetworkPolicy", "compareface-traces")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": collector.port}]
    (to,) = rule["to"]
    namespace = to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert str(collector.hostname).endswith(f".{namespace}.svc.cluster.local")


def test_a_pod_has_the_time_that_it_needs_to_leave(everything: list[Document]) -> None:
    given = _environment(_container(everything))
    needed = float(given["COMPAREFACE_SERVER__READINESS_DELAY_S"]) + float(given["COMPAREFACE_SERVER__DRAIN_S"])
    spec = one(everything, "Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= needed + 5


def test_a_pod_keeps_to_the_restricted_standard(everything: list[Document]) -> None:
    """``restricted`` of Kubernetes' Pod Security Standards; besides, it writes to no file system but /tmp."""
    spec = one(everything, "Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    told = spec["securityContext"]
    assert (told["runAsNonRoot"], told["runAsUser"], told["seccompProfile"]) == (
        True,
        10001,
        {"type": "RuntimeDefault"},
    )
    containers = [*spec["containers"], *spec["initContainers"]]
    assert len(containers) == 2
    for container in containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_the_pulled_pack_is_the_one_that_is_read(everything: list[Document]) -> None:
    (pull,) = one(everything, "Deployment")["spec"]["template"]["spec"]["initContainers"]
    serve = _container(everything)
    assert pull["args"] == ["models", "pull", _environment(serve)["COMPAREFACE_MODELS__PACK"]]
    assert pull["image"] == serve["image"] != "compareface"
    folder = _environment(pull)["COMPAREFACE_MODELS__WEIGHTS_DIR"]
    assert folder == _environment(serve)["COMPAREFACE_MODELS__WEIGHTS_DIR"]
    assert {"name": "weights", "mountPath": folder} in pull["volumeMounts"]
    assert {"name": "weights", "mountPath": folder, "readOnly": True} in serve["volumeMounts"]


def test_the_keys_are_where_the_program_looks(everything: list[Document]) -> None:
    secret = one(everything, "Secret")
    assert secret["metadata"]["name"] == "compareface-keys"
    path = Path(_environment(_container(everything))["COMPAREFACE_AUTH__KEYS_FILE"])
    assert list(secret["data"]) == [path.name]
    assert {"name": "keys", "mountPath": str(path.parent), "readOnly": True} in _container(everything)["volumeMounts"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_without_components_nothing_goes_out_but_questions_for_names(overlay: str, tmp_path: Path) -> None:
    command = kustomize()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is here; `make manifests` builds the former")
    policy = one(render(command, tmp_path, overlay, _USUAL), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [(each["protocol"], each["port"]) for rule in policy["egress"] for each in rule["ports"]] == [
        ("UDP", 53), ("TCP", 53),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1", "10.9.8.7", "100.64.0.1", "127.0.0.1", "168.63.129.16", "169.254.169.254", "172.31.0.1",
        "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.19.0.1", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "255.255.255.255", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", "fe80::1", "ff02::1",
        "2001::1", "2001:db8::1", "2002:a00:1::", "3fff::1", "8.8.8.8", "172.32.0.1", "1.1.1.1", "192.169.0.1",
        "2606:4700::1111", "2a00:1450::1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["url-input", "omz-pack"])
def test_the_policy_lets_out_to_whom_the_program_would(name: str, address: str) -> None:
    ((policy,),) = [documents for path, documents in sources().items() if path.match(f"components/{name}/network.yaml")]
    (rule,) = policy["spec"]["egress"]
    where = ip_address(address)
    blocks = [each["ipBlock"] for each in rule["to"]]
    lets_out = any(
        where in ip_network(block["cidr"]) and not any(where in ip_network(each) for each in block["except"])
        for block in blocks
    )
    assert lets_out == is_public(where)


def test_no_text_is_left_that_kustomize_should_have_replaced(everything: list[Document]) -> None:
    assert [text for text in strings(everything) if text.startswith("compareface:")] == []
    assert _container(everything)["image"].startswith("registry.example.internal/compareface:")
