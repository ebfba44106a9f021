"""Start, failures and shutdown of a real server. Its log never contains a traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.errors import ErrorCode
from tests.contract.catalogue import VALID_COMPARE, Case, send, signed_request
from tests.support.fakes import SECRET_KEY, code_of, response_of
from tests.support.processes import cpu_seconds
from tests.support.server import Server, running_server
from tests.support.termination import terminated_under_load


def _case(**body: object) -> Case:
    return Case(ErrorCode.SERVER_ERROR, "", {**VALID_COMPARE, **body})


def _records(log: Path) -> Iterator[dict[str, object]]:
    """Yield the records of the log; fail if a line is not JSON or has a traceback."""
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        assert "exception" not in record, line
        yield record


def _problems(log: Path) -> list[dict[str, object]]:
    """Return the warnings and errors, except the warning that the pack `open` is unfit."""
    return [record for record in _records(log) if record["level"] != "info" and record["logger"] != "app.asgi"]


def test_sigterm_under_load_loses_no_request_and_readiness_drops_first() -> None:
    """``python -m benchmarks.drain 50`` repeats this test more often."""
    outcomes = [terminated_under_load() for _ in range(2)]
    assert [outcome.lost for outcome in outcomes] == [[]] * 2
    assert all(outcome.is_good for outcome in outcomes), outcomes


def test_a_request_that_runs_longer_than_drain_s_gets_an_error(images_url: str, tmp_path: Path) -> None:
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_SERVER__DRAIN_S": "1"}
    log = tmp_path / "log"
    with running_server(settings, log=log) as server, ThreadPoolExecutor(1) as pool:
        pending = pool.submit(send, server, _case(UrlA=f"{images_url}/stall"))
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        error = response_of(pending.result())["Error"]
        assert error == {
            "Code": "FailedOperation.ServerError",
            "Message": "The service is being stopped. Please retry.",
        }
        assert server.process.wait(timeout=10) == 0
    assert "Cancel 1 running task" in str(list(_records(log)))


def test_a_server_starts_after_another_one_was_killed() -> None:
    with running_server() as server:
        server.process.kill()
        assert server.process.wait(timeout=10) == -signal.SIGKILL
    with running_server({"COMPAREFACE_SERVER__PORT": str(server.port)}) as restarted:
        assert code_of(send(restarted)) == "OK"


_SLOW_START = """
import sys, time, types
from contextlib import asynccontextmanager
from app.cli import main
from tests.support.fakes import FakeEngine

@asynccontextmanager
async def open_engine(settings):
    print("opening", flush=True)
    until = time.monotonic() + 1  # blocks the event loop, as loading a model does
    while time.monotonic() < until:
        time.sleep(0.01)
    yield FakeEngine()

sys.modules["app.engine"] = types.SimpleNamespace(Engine=types.SimpleNamespace(open=open_engine))
sys.exit(main(["serve"]))
"""


@pytest.mark.parametrize(("number", "exit_status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_during_the_start_ends_it_without_a_traceback(number: signal.Signals, exit_status: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW_START],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COMPAREFACE_SERVER__PORT": "0"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"opening\n"
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (exit_status, b"", b"")


def test_ctrl_c_ends_a_running_server_without_a_traceback(tmp_path: Path) -> None:
    with running_server(log=tmp_path / "log") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 130
    assert _problems(tmp_path / "log") == []


def test_a_second_ctrl_c_skips_the_shutdown_without_a_traceback(tmp_path: Path) -> None:
    settings = {"COMPAREFACE_SERVER__READINESS_DELAY_S": "60", "COMPAREFACE_LIMITS__DEADLINE_S": "60"}
    with (
        running_server(settings, log=tmp_path / "log") as server,
        closing(_pending_request(server, _case(), body_bytes=9)),
    ):
        server.process.send_signal(signal.SIGINT)
        while _readiness(server) == HTTPStatus.OK:
            time.sleep(0.05)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 130
    assert _problems(tmp_path / "log") == []


def _readiness(server: Server) -> int:
    with closing(HTTPConnection(server.host, server.port, timeout=10)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status


def _failed_start(environment: dict[str, str], shell_prefix: str = ":") -> subprocess.CompletedProcess[str]:
    """Run a server whose start fails; return its exit status and output.

    Coverage is off, because its data files would end up in the tested folders and limits.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        ["sh", "-c", f'{shell_prefix} && exec "$0" -m app serve', sys.executable],
        env={**inherited, "COMPAREFACE_SERVER__PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_key_file_that_cannot_be_read_stops_the_start_with_one_line(tmp_path: Path) -> None:
    done = _failed_start({"COMPAREFACE_AUTH__KEYS_FILE": str(tmp_path)})
    assert (done.returncode, done.stderr) == (
        1,
        f"compareface: COMPAREFACE_AUTH__KEYS_FILE: {tmp_path}: Is a directory\n",
    )


def test_a_key_file_that_becomes_invalid_keeps_the_previous_keys(tmp_path: Path) -> None:
    keys, log = tmp_path / "keys.toml", tmp_path / "log"
    keys.write_text(f'[callers.test]\nkeys = [{{ label = "1", secret_key = "{SECRET_KEY}" }}]\n')
    case = Case(ErrorCode.SERVER_ERROR, "", secret_id="test", secret_key=SECRET_KEY)
    with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}, log=log) as server:
        for invalidate in (lambda: keys.write_text(f'secret_key = "{SECRET_KEY}'), keys.unlink, keys.mkdir):
            invalidate()
            time.sleep(1.1)
            assert code_of(send(server, case)) == "OK"
    reasons = [str(record["reason"]) for record in _records(log) if record["level"] == "error"]
    assert [reason.partition(": ")[2] for reason in reasons] == [
        f"{keys}, end of document: not TOML",
        f"{keys}: No such file or directory",
        f"{keys}: Is a directory",
    ]
    assert SECRET_KEY not in log.read_text()


@pytest.mark.parametrize(
    ("shell_prefix", "reason"),
    [
        ("ulimit -f 100", "File too large"),
        ('mount -t tmpfs -o size=100k tmpfs "$COMPAREFACE_MODELS__WEIGHTS_DIR"', "No space left on device"),
        ('mount -t tmpfs -o ro tmpfs "$COMPAREFACE_MODELS__WEIGHTS_DIR"', "Read-only file system"),
    ],
)
def test_a_weights_folder_that_cannot_be_written_stops_the_start_with_one_line(
    tmp_path: Path, shell_prefix: str, reason: str
) -> None:
    if shell_prefix.startswith("mount"):
        probe = ["unshare", "--mount", "true"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            pytest.skip("mounting file systems is not permitted")
        shell_prefix = f'exec unshare --mount sh -c \'{shell_prefix} && exec "$0" -m app serve\' "$0"'
    done = _failed_start({"COMPAREFACE_MODELS__WEIGHTS_DIR": str(tmp_path)}, shell_prefix)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f": {reason}. " in done.stderr
    assert list(tmp_path.rglob("*.onnx")) == []


@pytest.fixture(scope="module")
def server_with_few_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with a limit of 300 open files, and its log."""
    log = tmp_path_factory.mktemp("few-files") / "log"
    with running_server(log=log, first="ulimit -n 300") as server:
        yield server, log


def test_connections_beyond_the_file_limit_do_not_affect_other_clients(
    server_with_few_files: tuple[Server, Path],
) -> None:
    server, log = server_with_few_files
    connections = [socket.create_connection((server.host, server.port), timeout=10) for _ in range(400)]
    time.sleep(0.5)
    used_before = cpu_seconds(server.process.pid)
    assert code_of(send(server)) == "OK"
    time.sleep(1)
    assert cpu_seconds(server.process.pid) - used_before < 0.8, "the server uses CPU time while it is idle"
    assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 300
    closed = sum(_is_closed(connection) for connection in connections)
    assert closed >= 200
    for connection in connections:
        connection.close()
    assert code_of(send(server)) == "OK"
    assert [record for record in _records(log) if record["level"] == "error"] == []


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_core_dumps_are_off(server_with_few_files: tuple[Server, Path]) -> None:
    limits = Path(f"/proc/{server_with_few_files[0].process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


@pytest.fixture(scope="module")
def sequential_server() -> Iterator[Server]:
    """A server for one request at a time; others stay in the queue for four seconds."""
    limits = {"MAX_IN_FLIGHT": "1", "MAX_WAIT_S": "4"}
    settings = {f"COMPAREFACE_LIMITS__{name}": value for name, value in limits.items()}
    with running_server({"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", **settings}) as server:
        yield server


def test_a_disconnect_frees_its_slot_at_once(sequential_server: Server, images_url: str) -> None:
    """The first of four requests fetches an image for five seconds, the others are queued; then all disconnect."""
    stalled = _case(UrlA=f"{images_url}/stall")
    clients = [_pending_request(sequential_server, stalled) for _ in range(4)]
    time.sleep(0.5)
    for connection in clients:
        connection.close()
    started = time.monotonic()
    assert code_of(send(sequential_server)) == "OK"
    assert time.monotonic() - started < 3


def _pending_request(server: Server, case: Case, body_bytes: int | None = None) -> socket.socket:
    """Return a connection on which the request was sent, with all or the first ``body_bytes`` bytes of its body."""
    connection = socket.create_connection((server.host, server.port), timeout=10)
    headers, body = signed_request(server, case)
    head = {"Host": server.endpoint, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection.sendall(f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body[:body_bytes])
    return connection
