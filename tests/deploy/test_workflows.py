"""``.github/workflows``: valid by GitHub's schema, with pinned actions and minimal permissions."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import app

_ROOT = Path(__file__).resolve().parents[2]
_PATHS = {path.stem: path for path in (_ROOT / ".github/workflows").iterdir()}
# The base loader keeps the key `on`, which is a boolean in YAML 1.1.
_WORKFLOWS: dict[str, Any] = {
    name: yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader) for name, path in _PATHS.items()
}


def _steps(name: str) -> Iterator[dict[str, Any]]:
    for job in _WORKFLOWS[name]["jobs"].values():
        yield from job.get("steps", ())


def test_workflows_match_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *_PATHS.values()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_runs_the_gate_for_pushes_and_pull_requests() -> None:
    check = _WORKFLOWS["check"]
    assert check["on"].keys() == {"push", "pull_request", "workflow_call"}
    commands = [step["run"] for step in _steps("check") if "run" in step]
    assert commands == ["make check test"]
    assert commands[0] in (_ROOT / ".ci/run").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(commands[0].split()[1:]) <= targets


def test_check_uses_the_oldest_supported_python_and_a_newer_one() -> None:
    oldest, newest = _WORKFLOWS["check"]["jobs"]["check"]["strategy"]["matrix"]["python"]
    required = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert required == f">={oldest}"
    assert [int(part) for part in newest.split(".")] > [int(part) for part in oldest.split(".")]


@pytest.mark.parametrize("name", _PATHS)
def test_actions_are_pinned_by_commit(name: str) -> None:
    lines = re.findall(r"uses: (.*)$", _PATHS[name].read_text("utf-8"), re.MULTILINE)
    remote = [line for line in lines if not line.startswith("./")]
    assert remote
    assert [line for line in remote if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    assert [line for line in lines if line.startswith("./") and not (_ROOT / line).is_file()] == []


@pytest.mark.parametrize("name", _PATHS)
def test_only_the_jobs_that_push_may_write(name: str) -> None:
    workflow = _WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    granted = {job: rights for job, body in workflow["jobs"].items() if (rights := body.get("permissions"))}
    expected = {"build": {"contents": "read", "packages": "write"}, "index": {"packages": "write"}}
    assert granted == (expected if name == "release" else {})


@pytest.mark.parametrize("name", _PATHS)
def test_commands_contain_no_expression(name: str) -> None:
    """GitHub inserts an expression into the script, so a name with shell syntax would run."""
    assert [step["run"] for step in _steps(name) if "${{" in step.get("run", "")] == []
    assert "pull_request_target" not in _WORKFLOWS[name]["on"]
    checkouts = [step["with"] for step in _steps(name) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts == [{"persist-credentials": "false"}]


def test_a_release_needs_the_gate() -> None:
    jobs = _WORKFLOWS["release"]["jobs"]
    assert jobs["check"] == {"uses": "./.github/workflows/check.yml"}
    assert (jobs["build"]["needs"], jobs["index"]["needs"]) == ("check", "build")


def test_a_release_builds_each_target_for_its_platforms() -> None:
    images = _WORKFLOWS["release"]["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert [(image["target"], image["platform"], image["suffix"]) for image in images] == [
        ("cpu", "linux/amd64", "amd64"),
        ("cpu", "linux/arm64", "arm64"),
        ("gpu", "linux/amd64", "gpu"),
    ]
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (_ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert {image["target"] for image in images} <= set(stages)
    assert all(image["runner"].endswith("-arm") == image["platform"].endswith("/arm64") for image in images)


def test_images_are_pushed_with_sbom_and_provenance() -> None:
    (build,) = [step["with"] for step in _steps("release") if step.get("uses", "").startswith("docker/build-push-")]
    assert (build["sbom"], build["provenance"], build["push"]) == ("true", "mode=max", "true")
    assert build["tags"] == "${{ vars.IMAGE }}:${{ github.ref_name }}-${{ matrix.suffix }}"
    (join,) = [step["run"] for step in _steps("release") if "imagetools create" in step.get("run", "")]
    assert join.endswith('--tag "$IMAGE:$GITHUB_REF_NAME" "$IMAGE:$GITHUB_REF_NAME"-{amd64,arm64}')


@pytest.mark.parametrize(("tag", "code"), [("{version}", 0), ("0.0.9", 1)])
def test_a_release_has_the_version_of_the_program(tag: str, code: int) -> None:
    (command,) = [step["run"] for step in _steps("release") if "__version__" in step.get("run", "")]
    environment = {"GITHUB_REF_NAME": tag.format(version=app.__version__), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", command], cwd=_ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == code
