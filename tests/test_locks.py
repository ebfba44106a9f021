"""Packages: every imported one is declared in pyproject.toml, and both lock files have the same versions."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_OWN_PACKAGES = {"app", "benchmarks", "deploy", "models", "tests"}
_DEVELOPMENT_EXTRAS = {"audit", "browser", "dev", "fuzz", "manifests", "sbom"}


def _locked(name: str) -> dict[str, str]:
    """Return the requirements of a lock file by package and environment marker."""
    lines = re.findall(r"^([a-z0-9._-]+)==(.*?) *\\$", (_ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 50
    return {f"{package} {requirement.partition(';')[2]}": requirement for package, requirement in lines}


def test_the_gpu_lock_file_differs_only_in_onnxruntime_and_nvidia_packages() -> None:
    cpu, gpu = _locked("requirements.lock"), _locked("requirements-gpu.lock")
    assert {name for name in cpu if cpu[name] != gpu.get(name)} == {"onnxruntime "}
    additional = {name.strip() for name in gpu.keys() - cpu.keys()}
    assert {name for name in additional if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}


def _declared(*, is_development: bool) -> dict[str, str]:
    """Return the requirements of pyproject.toml by normalised distribution name."""
    requirements = list(_PROJECT["dependencies"])
    for extra, entries in _PROJECT["optional-dependencies"].items():
        if is_development or extra not in _DEVELOPMENT_EXTRAS:
            requirements += entries
    return {_normalised(re.split(r"[\[<>=~!; ]", requirement)[0]): requirement for requirement in requirements}


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _third_party_modules(folder: str) -> set[str]:
    """Return the top-level modules that the Python files of a folder import."""
    paths = sorted((_ROOT / folder).rglob("*.py"))
    modules = {name.partition(".")[0] for path in paths for name in _imported_names(path)}
    return modules - set(sys.stdlib_module_names) - _OWN_PACKAGES


def _imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize(("folder", "is_development"), [("app", False), ("tests", True), ("benchmarks", True)])
def test_every_imported_package_is_declared(folder: str, is_development: bool) -> None:
    """A package of an extra that is not installed is looked up by the name of its module."""
    declared, distributions = _declared(is_development=is_development), packages_distributions()
    modules = _third_party_modules(folder)
    assert len(modules) > 5
    candidates = {module: {_normalised(name) for name in distributions.get(module, [module])} for module in modules}
    assert {module: names for module, names in candidates.items() if not names & declared.keys()} == {}


@pytest.mark.parametrize("package", ["h11", "uvicorn"])
def test_packages_whose_internals_are_used_have_an_upper_bound(package: str) -> None:
    """See app/server/connection.py."""
    assert "<" in _declared(is_development=False).get(package, "")
