"""A real service of two server processes: limits and metrics hold over both, and a killed process is replaced."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.processes import process_status, server_processes, wait_for_replacement
from tests.support.server import Server, open_without_proxy, running_server
from tests.support.termination import terminated_under_load

_TWO = {"COMPAREFACE_SERVER__WORKERS": "2", "COMPAREFACE_METRICS__ENABLED": "true"}
_RATE = 5
_KEYS = f"""
[callers.limited]
requests_per_second = {_RATE}
keys = [{{ label = "only", secret_key = "0123456789abcdef" }}]
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running_server(_TWO) as server:
        yield server


def _codes(server: Server, connections: int, requests: int) -> Counter[str]:
    """Send ``requests`` requests without images on each of ``connections`` connections; return their codes."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(HTTPConnection(server.host, server.port, timeout=20)))
            for _ in range(connections)
        ]
        return Counter(server.compare(connection, b"{}") for _ in range(requests) for connection in opened)


def test_the_metrics_count_the_requests_of_all_processes(service: Server) -> None:
    (code,) = _codes(service, connections=1, requests=1)
    name = f'compareface_requests_total{{action="CompareFace",code="{code}"}}'
    before = service.metric(name)
    assert _codes(service, connections=4, requests=5) == {code: 20}
    assert service.metric(name) == before + 20
    assert service.metric("compareface_in_flight") == 0
    for process in server_processes(service.process.pid):
        assert service.metric(f'process_cpu_seconds_total{{pid="{process}"}}') > 0
    one_process = 1024 * min(process_status(process)["VmRSS"] for process in server_processes(service.process.pid))
    assert service.metric("process_resident_memory_bytes") > 1.5 * one_process


def test_version_states_the_number_of_processes(service: Server) -> None:
    with open_without_proxy(f"{service.url}/version") as reply:
        version = json.load(reply)
    assert version["server_processes"] == len(server_processes(service.process.pid)) == 2
    assert version["engine"]["worker_threads"] >= 2


def test_a_killed_process_is_replaced_and_its_counts_remain(service: Server) -> None:
    (code,) = _codes(service, connections=2, requests=3)
    name = f'compareface_requests_total{{action="CompareFace",code="{code}"}}'
    before, processes = service.metric(name), server_processes(service.process.pid)
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(HTTPConnection(service.host, service.port, timeout=20))) for _ in range(6)
        ]
        for connection in connections:
            service.compare(connection, b"{}")
        os.kill(processes[0], signal.SIGKILL)
        time.sleep(0.2)
        outcomes = [_outcome(service, connection) for connection in connections]
    assert set(outcomes) == {code, "lost"}
    counted = before + len(outcomes) + outcomes.count(code)
    wait_for_replacement(service.process.pid, processes[0])
    assert service.metric(name) == counted
    assert _codes(service, connections=4, requests=2) == {code: 8}
    assert service.metric(name) == counted + 8


def _outcome(server: Server, connection: HTTPConnection) -> str:
    try:
        return server.compare(connection, b"{}")
    except (OSError, HTTPException):
        return "lost"


def test_a_rate_limit_holds_over_all_processes(tmp_path: Path) -> None:
    keys_file = tmp_path / "keys.toml"
    keys_file.write_text(_KEYS)
    with running_server(
        {**_TWO, "COMPAREFACE_AUTH__KEYS": "", "COMPAREFACE_AUTH__KEYS_FILE": str(keys_file)}
    ) as server:
        limited = server._replace(secret_id="limited", secret_key="0123456789abcdef")
        _codes(limited, connections=2, requests=1)
        time.sleep(1.01 - time.monotonic() % 1)  # all of the next requests arrive within one second
        codes = _codes(limited, connections=4, requests=5)
    assert codes["RequestLimitExceeded"] == 20 - _RATE


def test_sigterm_under_load_loses_no_request() -> None:
    """``python -m benchmarks.drain 50 --workers 2`` repeats this test more often."""
    outcome = terminated_under_load({"COMPAREFACE_SERVER__WORKERS": "2"})
    assert outcome.is_good, outcome


def test_the_processes_end_with_a_killed_supervisor() -> None:
    with running_server(_TWO) as server:
        processes = server_processes(server.process.pid)
        server.process.kill()
        until = time.monotonic() + 20
        while any(Path(f"/proc/{process}/cmdline").exists() for process in processes) and time.monotonic() < until:
            time.sleep(0.1)
        assert not [process for process in processes if Path(f"/proc/{process}").exists()]


def test_a_wrong_setting_is_reported_once() -> None:
    environment = {**os.environ, **_TWO, "COMPAREFACE_SERVER__PORT": "0", "COMPAREFACE_MODELS__PACK": "missing"}
    result = subprocess.run(
        [sys.executable, "-m", "app", "serve"], env=environment, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert result.stderr.decode().count("missing") == 1
    assert b"Traceback" not in result.stderr
