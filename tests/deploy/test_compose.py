"""The files of ``deploy/compose``: valid by the schema of Compose, and safe."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.environment import settings_fields
from app.settings import ServerSettings

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_COMPOSE = _DEPLOY / "compose"
_DOCKERFILE = (_DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
_FILES = ("cpu", "gpu", "tls", "proxy", "monitoring")
_DOCUMENTS: dict[str, Any] = {name: yaml.safe_load((_COMPOSE / f"{name}.yml").read_text()) for name in _FILES}
_SERVICES = {
    f"{file}: {name}": service
    for file, document in _DOCUMENTS.items()
    for name, service in document["services"].items()
    if (file, name)
    # additions to cpu.yml
    not in {("gpu", "compareface"), ("tls", "compareface"), ("monitoring", "compareface")}
}


def test_compose_files_match_the_schema() -> None:
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*program, *(_COMPOSE / f"{name}.yml" for name in _FILES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_invalid_compose_file_fails_the_schema(tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text("services: {compareface: {read_only: 3}}")
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    assert subprocess.run([*program, tmp_path / "wrong.yml"], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("name", _SERVICES)
def test_containers_have_minimal_privileges(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "tmpfs"} <= service.keys()
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid"}
    assert re.search(r":v?\d+\.\d+|^compareface:", service["image"])


@pytest.mark.parametrize("name", _SERVICES)
def test_a_full_tmp_leaves_memory_for_the_program(name: str) -> None:
    service = _SERVICES[name]
    (kept,) = re.findall(r"^/tmp:size=(\d+)m,", "\n".join(service["tmpfs"]), re.MULTILINE)
    whole = service["mem_limit"].replace("g", "*1024m").removesuffix("m")
    assert 2 * int(kept) <= math.prod(map(int, whole.split("*")))


@pytest.mark.parametrize("name", _FILES)
def test_mounted_files_exist_or_are_documented(name: str) -> None:
    document = _DOCUMENTS[name]
    mounted = [
        volume.split(":")[0] for service in document["services"].values() for volume in service.get("volumes", [])
    ]
    ignored = (_DEPLOY.parent / ".gitignore").read_text().splitlines()
    local = [path for path in mounted if path.startswith(".") and f"deploy/compose/{path[2:]}/" not in ignored]
    assert [path for path in local if not (_COMPOSE / path).exists()] == []
    assert {path for path in mounted if not path.startswith((".", "/"))} <= set(document.get("volumes", ()))
    readme = (_DEPLOY / "README.md").read_text(encoding="utf-8")
    for secret in document.get("secrets", {}).values():
        path = Path(secret["file"])
        assert path.name in readme
        assert {f"deploy/compose/{path}", f"deploy/compose/{path.parent}/"} & set(ignored)


@pytest.mark.parametrize("name", _FILES)
def test_every_setting_in_compose_exists(name: str) -> None:
    named = set(re.findall(r"^ +(COMPAREFACE_\w+):", (_COMPOSE / f"{name}.yml").read_text(), re.MULTILINE))
    assert named <= settings_fields().keys()


def test_keys_come_from_a_file_and_the_service_has_time_to_stop() -> None:
    service = _DOCUMENTS["cpu"]["services"]["compareface"]
    assert not {"COMPAREFACE_AUTH__KEYS", "COMPAREFACE_AUTH__MODE"} & set(service["environment"])
    assert "COMPAREFACE_AUTH__KEYS_FILE" in service["environment"]
    settings = ServerSettings()
    assert int(service["stop_grace_period"].removesuffix("s")) > settings.readiness_delay_s + settings.drain_s


def test_the_service_requires_a_fit_pack_and_uses_that_of_the_image() -> None:
    service = _DOCUMENTS["cpu"]["services"]["compareface"]
    assert service["environment"]["COMPAREFACE_MODELS__REQUIRE_FIT"] == "true"
    assert "COMPAREFACE_MODELS__PACK" not in service["environment"]
    assert service["volumes"] == ["./keys:/etc/compareface/keys:ro"]


@pytest.mark.parametrize(
    ("file", "source", "names"),
    [
        ("cpu", "cpu.yml", r"KEYS_FILE: (\S+)"),
        ("tls", "tls.yml", r"TLS_(?:CERT|KEY): (\S+)"),
        ("proxy", "nginx.conf", r"ssl_certificate\w* +(\S+);"),
    ],
)
def test_files_that_get_replaced_are_mounted_with_their_folder(file: str, source: str, names: str) -> None:
    """A mounted file still has its old content after an editor or certbot has replaced it."""
    paths = re.findall(names, (_COMPOSE / source).read_text())
    folders = re.findall(r"- \./\w+:(\S+):ro", (_COMPOSE / f"{file}.yml").read_text())
    assert paths
    assert [path for path in paths if str(Path(path).parent) not in folders] == []


def test_only_services_with_tls_listen_beyond_loopback() -> None:
    ports = {name: service["ports"] for name, service in _SERVICES.items() if "ports" in service}
    assert {name for name, port_list in ports.items() if not str(port_list[0]).startswith("127.0.0.1:")} == {
        "proxy: proxy"
    }
    service = _DOCUMENTS["tls"]["services"]["compareface"]
    assert service["ports"] == ["443:8000"]
    folder = service["volumes"][0].split(":")[1]
    assert service["environment"]["COMPAREFACE_SERVER__TLS_CERT"] == f"{folder}/tls.crt"
    assert "server_name iai." in (_COMPOSE / "nginx.conf").read_text()


def test_prometheus_scrapes_the_service_and_loads_the_alerts() -> None:
    document = yaml.safe_load((_DEPLOY / "prometheus/prometheus.yml").read_text())
    assert document["rule_files"] == ["alerts.yml"]
    (job,) = document["scrape_configs"]
    assert (job["job_name"], job["static_configs"]) == ("compareface", [{"targets": ["compareface:8000"]}])
