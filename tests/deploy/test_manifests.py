"""``deploy/k8s``: settings exist, related objects agree, and a pod has minimal privileges."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.routing import Route

from app.address import is_public
from app.api.routes import health_routes
from app.environment import settings_fields
from app.ops.metrics import Metrics
from tests.deploy.rendering import COMPONENTS, OVERLAYS, Document, document, kustomize, render, sources, strings
from tests.support.monitoring import ALERTS, alerts, panels

_LABELS = {"app.kubernetes.io/name": "compareface"}
_USUAL = ("keys", "ingress")


@pytest.fixture(scope="module", params=OVERLAYS)
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """An overlay with every component."""
    command = kustomize()
    if command is None:
        pytest.skip("kustomize and kubectl are not installed; `make manifests` builds kustomize")
    return render(command, tmp_path_factory.mktemp("k8s"), request.param, COMPONENTS)


def _container(documents: list[Document]) -> Document:
    containers = document(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    return dict(containers[0])


def _environment(container: Document) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_every_setting_named_in_a_manifest_exists() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    named = set(re.findall(r"COMPAREFACE_[A-Z0-9]+__[A-Z0-9_]+", text))
    assert len(named) > 6
    assert named - settings_fields().keys() == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_component_is_listed_in_each_overlay(overlay: str) -> None:
    (path,) = [path for path in sources() if path.parent.name == overlay and path.name == "kustomization.yaml"]
    lines = re.findall(r"^  (?:# )?- \.\./\.\./components/(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(lines) == sorted(COMPONENTS)


def test_manifests_contain_no_key() -> None:
    files = [path.name for path in (next(iter(sources())).parents[2] / "components/keys").iterdir()]
    assert "keys.example.toml" in files
    assert [item for documents in sources().values() for item in documents if item["kind"] == "Secret"] == []


def test_the_job_name_matches_alerts_and_dashboard(documents: list[Document]) -> None:
    label = document(documents, "ServiceMonitor")["spec"]["jobLabel"]
    job = document(documents, "Service")["metadata"]["labels"][label]
    names = {name for item in (*panels(), *alerts()) for name in re.findall(r'job="(\w+)"', item.expression)}
    assert names == {job}


def test_selectors_match_the_pods_only(documents: list[Document]) -> None:
    deployment = document(documents, "Deployment")
    assert deployment["spec"]["template"]["metadata"]["labels"] == _LABELS
    assert deployment["spec"]["selector"]["matchLabels"] == _LABELS
    assert document(documents, "Service")["spec"]["selector"] == _LABELS
    assert document(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == _LABELS
    assert document(documents, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items() <= (
        document(documents, "Service")["metadata"]["labels"].items()
    )
    policies = [item for item in documents if item["kind"] == "NetworkPolicy"]
    assert len(policies) == 3
    assert [item["spec"]["podSelector"] for item in policies] == [{"matchLabels": _LABELS}] * 3
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [item["labelSelector"]["matchLabels"] for item in spread] == [_LABELS] * 2
    assert document(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"],
    }  # fmt: skip


def test_ports_agree_from_ingress_to_container(documents: list[Document]) -> None:
    container = _container(documents)
    port, health = container["ports"]
    assert str(port["containerPort"]) == _environment(container)["COMPAREFACE_SERVER__PORT"]
    assert str(health["containerPort"]) == _environment(container)["COMPAREFACE_SERVER__HEALTH_PORT"]
    served, served_health = document(documents, "Service")["spec"]["ports"]
    assert (served["targetPort"], served_health["targetPort"]) == (port["name"], health["name"])
    rule = document(documents, "Ingress")["spec"]["rules"][0]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == (
        document(documents, "Service")["metadata"]["name"],
        served["name"],
    )
    assert rule["host"].startswith("iai.")
    assert document(documents, "Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert (path["path"], path["pathType"]) == ("/", "Exact")
    (inwards,) = document(documents, "NetworkPolicy", "compareface")["spec"]["ingress"]
    assert [item["port"] for item in inwards["ports"]] == [port["containerPort"], health["containerPort"]]
    assert document(documents, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == served_health["name"]


def test_the_certificate_is_mounted_at_the_configured_path(documents: list[Document]) -> None:
    environment = _environment(_container(documents))
    cert, key = (Path(environment[f"COMPAREFACE_SERVER__TLS_{name}"]) for name in ("CERT", "KEY"))
    assert (cert.name, key.name) == ("tls.crt", "tls.key")  # of a Secret of the type kubernetes.io/tls
    assert {"name": "tls", "mountPath": str(cert.parent), "readOnly": True} in _container(documents)["volumeMounts"]
    volumes = document(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
    (secret,) = [volume["secret"]["secretName"] for volume in volumes if volume["name"] == "tls"]
    assert secret == document(documents, "Ingress")["spec"]["tls"][0]["secretName"]
    assert document(documents, "Service")["spec"]["ports"][0]["port"] == 443


def test_probes_use_served_paths(documents: list[Document]) -> None:
    container = _container(documents)
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz",
    }  # fmt: skip
    served = {item.path for item in health_routes(has_metrics=False) if isinstance(item, Route)}
    assert {probe["path"] for probe in probes.values()} <= served
    assert {probe["port"] for probe in probes.values()} == {container["ports"][1]["name"]}


def test_the_autoscaler_uses_served_metrics(documents: list[Document]) -> None:
    assert _environment(_container(documents))["COMPAREFACE_METRICS__ENABLED"] == "true"
    served = {item.path for item in health_routes(has_metrics=True) if isinstance(item, Route)}
    assert document(documents, "ServiceMonitor")["spec"]["endpoints"][0]["path"] in served
    names = [item["pods"]["metric"]["name"] for item in _metrics(documents) if item["type"] == "Pods"]
    assert [f"# TYPE {name} gauge" in Metrics().render().decode() for name in names] == [True]


def _metrics(documents: list[Document]) -> list[Document]:
    return list(document(documents, "HorizontalPodAutoscaler")["spec"]["metrics"])


def test_the_alerts_equal_the_rules_file() -> None:
    (rule,) = [document for path, (document, *_) in sources().items() if path.match("components/alerts/rule.yaml")]
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text("utf-8"))


def test_the_network_policy_allows_the_trace_collector(documents: list[Document]) -> None:
    collector = urlsplit(_environment(_container(documents))["COMPAREFACE_TRACES__ENDPOINT"])
    (rule,) = document(documents, "NetworkPolicy", "compareface-traces")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": collector.port}]
    (to,) = rule["to"]
    namespace = to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert str(collector.hostname).endswith(f".{namespace}.svc.cluster.local")


def test_a_pod_has_time_to_shut_down(documents: list[Document]) -> None:
    environment = _environment(_container(documents))
    needed = float(environment["COMPAREFACE_SERVER__READINESS_DELAY_S"]) + float(
        environment["COMPAREFACE_SERVER__DRAIN_S"]
    )
    spec = document(documents, "Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= needed + 5


def test_a_pod_meets_the_restricted_standard(documents: list[Document]) -> None:
    """``restricted`` of Kubernetes' Pod Security Standards; besides, it writes to no file system but /tmp."""
    spec = document(documents, "Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    security = spec["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["seccompProfile"]) == (
        True,
        10001,
        {"type": "RuntimeDefault"},
    )
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_the_pods_require_a_fit_pack_and_use_that_of_the_image() -> None:
    (deployment,) = [documents for path, (documents, *_) in sources().items() if path.match("base/deployment.yaml")]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert _environment(container)["COMPAREFACE_MODELS__REQUIRE_FIT"] == "true"
    assert "COMPAREFACE_MODELS__PACK" not in _environment(container)


def test_keys_are_mounted_at_the_configured_path(documents: list[Document]) -> None:
    secret = document(documents, "Secret")
    assert secret["metadata"]["name"] == "compareface-keys"
    path = Path(_environment(_container(documents))["COMPAREFACE_AUTH__KEYS_FILE"])
    assert list(secret["data"]) == [path.name]
    assert {"name": "keys", "mountPath": str(path.parent), "readOnly": True} in _container(documents)["volumeMounts"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_without_components_only_dns_may_leave_the_pod(overlay: str, tmp_path: Path) -> None:
    command = kustomize()
    if command is None:
        pytest.skip("kustomize and kubectl are not installed; `make manifests` builds kustomize")
    policy = document(render(command, tmp_path, overlay, _USUAL), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [(item["protocol"], item["port"]) for rule in policy["egress"] for item in rule["ports"]] == [
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
def test_network_policy_and_service_allow_the_same_addresses(address: str) -> None:
    ((policy,),) = [
        documents for path, documents in sources().items() if path.match("components/url-input/network.yaml")
    ]
    (rule,) = policy["spec"]["egress"]
    where = ip_address(address)
    blocks = [item["ipBlock"] for item in rule["to"]]
    lets_out = any(
        where in ip_network(block["cidr"]) and not any(where in ip_network(item) for item in block["except"])
        for block in blocks
    )
    assert lets_out == is_public(where)


def test_kustomize_replaces_every_placeholder(documents: list[Document]) -> None:
    assert [text for text in strings(documents) if text.startswith("compareface:")] == []
    assert _container(documents)["image"].startswith("registry.example.internal/compareface:")
