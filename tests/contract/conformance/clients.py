"""The clients: their requirements, installation, and the command that runs their driver."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tests.contract.conformance import toolchains
from tests.contract.conformance.python_envs import TCCLI_VERSION, prepare_python, prepare_tccli
from tests.contract.conformance.toolchains import DRIVERS

CACHE = Path(__file__).resolve().parents[3] / ".conformance"

_RETRY_DEFECT = "its retryer raises the first error even when a later attempt succeeds"


@dataclass(frozen=True, eq=False)
class Client:
    """One row of the matrix."""

    name: str
    version: Callable[[], str]
    prepare: Callable[[Path], list[str]]
    """Returns the command that runs the driver; raises ``RuntimeError`` if the client cannot be installed."""
    tools: tuple[str, ...] = ()
    """Programs that must be on the PATH."""
    is_installed: bool = False
    """Whether the development environment contains it."""
    defects: Mapping[str, str] = field(default_factory=dict)
    """Scenario -> defect of this client."""


def _development_python(script: str, *arguments: str) -> Callable[[Path], list[str]]:
    return lambda _cache: [sys.executable, str(DRIVERS / script), *arguments]


def _curl_version() -> str:
    return subprocess.run(["curl", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]


def _pinned(number: str) -> Callable[[], str]:
    return lambda: number


_sdk_version = partial(version, "tencentcloud-sdk-python-common")

CLIENTS = [
    Client(
        "Python SDK",
        _sdk_version,
        _development_python("python_sdk.py", "sync"),
        is_installed=True,
        defects={"retry": _RETRY_DEFECT},
    ),
    Client(
        "Python SDK, async",
        _sdk_version,
        _development_python("python_sdk.py", "async"),
        is_installed=True,
        defects={"retry": _RETRY_DEFECT},
    ),
    Client(
        "curl, signed as documented",
        _curl_version,
        _development_python("curl.py"),
        tools=("bash", "curl", "openssl"),
        is_installed=True,
    ),
    Client("Python SDK of 2023", _pinned("3.0.900"), partial(prepare_python, version="3.0.900")),
    Client("Python SDK of 2020", _pinned("3.0.300"), partial(prepare_python, version="3.0.300")),
    Client("tccli", _pinned(TCCLI_VERSION), prepare_tccli),
    *(
        Client(name, _pinned(number), partial(toolchains.prepare_node, version=number), ("node", "npm"))
        for name, number in (("Node SDK", "4.1.313"), ("Node SDK 4.0", "4.0.300"))
    ),
    Client("Go SDK", _pinned(toolchains.GO_VERSION), toolchains.prepare_go, ("go",)),
    Client("Go SDK, generic", _pinned(toolchains.GO_COMMON_VERSION), toolchains.prepare_go_common, ("go",)),
    *(
        Client(
            name,
            _pinned(number),
            partial(toolchains.prepare_java, artifact=artifact, version=number),
            ("java", "javac", "mvn"),
        )
        for name, artifact, number in (
            ("Java SDK", "tencentcloud-sdk-java", "3.1.1436"),
            ("Java SDK, iai only", "tencentcloud-sdk-java-iai", "3.1.830"),
        )
    ),
]
