"""Installs other versions of the vendor's Python packages, each in a separate environment in a cache folder."""

import sys
from pathlib import Path

from tests.contract.conformance.toolchains import DRIVERS, prepare

TCCLI_VERSION = "3.1.189.1"


def prepare_python(cache: Path, version: str) -> list[str]:
    """Return the command that runs the driver with this version of the Python SDK."""
    packages = [f"tencentcloud-sdk-python-{part}=={version}" for part in ("common", "iai")]
    return [*_environment(cache / f"python-{version}", DRIVERS / "python_sdk.py", packages), "sync"]


def prepare_tccli(cache: Path) -> list[str]:
    """Return the command that runs the driver of tccli."""
    return _environment(cache / "tccli", DRIVERS / "tccli.py", [f"tccli=={TCCLI_VERSION}"])


def _environment(folder: Path, driver: Path, packages: list[str]) -> list[str]:
    uv = str(Path(sys.executable).with_name("uv"))
    create = [uv, "venv", "--quiet", "--python", sys.executable, "venv"]
    install = [uv, "pip", "install", "--quiet", "--python", "venv", *packages]
    prepare(folder, [driver], [create, install])
    return [str(folder / "venv/bin/python"), str(folder / driver.name)]
