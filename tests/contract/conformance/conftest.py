"""Runs every driver once against a live server, and prints a matrix of the verdicts."""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tests.contract.conformance.clients import CACHE, CLIENTS, Client
from tests.contract.conformance.jobs import Outcome, from_json, to_json
from tests.contract.conformance.matrix import Row, Verdict, table
from tests.contract.conformance.scenarios import KEYS_FILE, SCENARIOS, encoded_images
from tests.contract.conformance.toolchains import BrokenDriverError
from tests.support.server import running_server

DRIVER_TIMEOUT_S = 300

_VERDICTS = pytest.StashKey[dict[str, dict[str, Verdict]]]()


@pytest.fixture(scope="session")
def jobs(images_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The JSON document of all scenarios, for a server that runs during the session."""
    keys = tmp_path_factory.mktemp("conformance") / "keys.toml"
    keys.write_text(KEYS_FILE)
    images = encoded_images(images_url)
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_AUTH__KEYS_FILE": str(keys)}
    with running_server(settings) as server:
        yield to_json(scenario.job(server.endpoint, images) for scenario in SCENARIOS)


@dataclass(frozen=True)
class Run:
    """A client's outcomes by the names of the scenarios, or the reason why there are none."""

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    skip_reason: str = ""
    failure: str = ""


@pytest.fixture(scope="session")
def run(jobs: str) -> Callable[[Client], Run]:
    """A function that runs a client's driver once and returns the cached result afterwards."""
    return cache(lambda client: run_driver(client, jobs, {}))


@pytest.fixture
def outcomes(request: pytest.FixtureRequest, run: Callable[[Client], Run]) -> Mapping[str, Outcome]:
    """The outcomes of the client under test."""
    result = run(request.param)
    if result.skip_reason:
        pytest.skip(result.skip_reason)
    if result.failure:
        pytest.fail(result.failure, pytrace=False)
    return result.outcomes


def run_driver(client: Client, jobs: str, trust: Mapping[str, str]) -> Run:
    """Run the client's driver; ``trust``: environment variables that name an authority."""
    missing = [tool for tool in client.tools if shutil.which(tool) is None]
    if missing:
        return Run(skip_reason=f"{client.name} needs {', '.join(missing)} on the PATH")
    try:
        command = client.prepare(CACHE)
    except RuntimeError as error:
        return Run(skip_reason=f"{client.name} could not be installed: {error}")
    except BrokenDriverError as error:
        return Run(failure=str(error))
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command,
        input=jobs,
        env={**environment, **trust},
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=DRIVER_TIMEOUT_S,
    )
    if done.returncode:
        return Run(failure=f"the driver exited with status {done.returncode}:\n{done.stderr[-2000:]}")
    return Run(from_json(done.stdout))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    params: Mapping[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if "scenario" in params and (report.when == "call" or not report.passed):
        verdicts = item.config.stash.setdefault(_VERDICTS, {})
        verdicts.setdefault(params["outcomes"].name, {})[params["scenario"].name] = _verdict(report)
    return report


def _verdict(report: pytest.TestReport) -> Verdict:
    if hasattr(report, "wasxfail") and report.skipped:
        return Verdict.DEFECT
    if report.skipped:
        return Verdict.NOT_OFFERED if report.when == "call" else Verdict.SKIPPED
    return Verdict.OK if report.passed else Verdict.FAIL


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    verdicts = config.stash.get(_VERDICTS, {})
    rows = [Row(client, verdicts[client.name]) for client in CLIENTS if client.name in verdicts]
    if rows:
        terminalreporter.section("conformance")
        terminalreporter.write_line(table(rows))
