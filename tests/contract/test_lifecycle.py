"""Start, faults and end of a real server: each is injected, and each is answered. Zero tracebacks in its log."""

from __future__ import annotations

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
from tests.contract.catalogue import GOOD, Case, send, signed
from tests.support.fakes import SECRET_KEY, code_of, response_of
from tests.support.server import Server, running_server
from tests.support.termination import terminated_under_load


def _case(**body: object) -> Case:
    return Case(ErrorCode.SERVER_ERROR, "", {**GOOD, **body})


def _lines(log: Path) -> Iterator[dict[str, object]]:
    """Yield the records of the log; each must be one, and none has a traceback."""
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        assert "exception" not in record, line
        yield record


def test_sigterm_under_load_loses_nobody_and_readiness_drops_first() -> None:
    """``python -m benchmarks.drain 50`` does it more often."""
    outcomes = [terminated_under_load() for _ in range(5)]
    assert [outcome.lost for outcome in outcomes] == [[]] * 5
    assert all(outcome.is_good for outcome in outcomes), outcomes


def test_who_is_not_answered_in_the_time_for_draining_is_told_so(pictures: str, tmp_path: Path) -> None:
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_SERVER__DRAIN_S": "1"}
    log = tmp_path / "log"
    with running_server(settings, log=log) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(send, server, _case(UrlA=f"{pictures}/stall"))
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        error = response_of(asked.result())["Error"]
        assert error == {
            "Code": "FailedOperation.ServerError",
            "Message": "The service is being stopped. Please retry.",
        }
        assert server.process.wait(timeout=10) == 0
    assert "Cancel 1 running task" in str(list(_lines(log)))


def test_a_killed_server_leaves_nothing_that_keeps_the_next_from_starting(tmp_path: Path) -> None:
    with running_server() as server:
        server.process.kill()
        assert server.process.wait(timeout=10) == -signal.SIGKILL
    with running_server({"COMPAREFACE_SERVER__PORT": str(server.port)}) as again:
        assert code_of(send(again)) == "OK"


_SLOW_START = """
import sys, time, types
from contextlib import asynccontextmanager
from app.cli import main
from tests.support.fakes import FakeEngine

@asynccontextmanager
async def opened(settings):
    print("opening", flush=True)
    until = time.monotonic() + 1  # as a model is loaded: the event loop stands
    while time.monotonic() < until:
        time.sleep(0.01)
    yield FakeEngine()

sys.modules["app.engine"] = types.SimpleNamespace(Engine=types.SimpleNamespace(open=opened))
sys.exit(main(["serve"]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_during_the_start_ends_it_without_a_traceback(number: signal.Signals, code: int) -> None:
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
    assert (process.returncode, out, errors) == (code, b"", b"")


def test_ctrl_c_ends_a_running_server_without_a_traceback(tmp_path: Path) -> None:
    with running_server(log=tmp_path / "log") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 130
    assert [record for record in _lines(tmp_path / "log") if record["level"] != "info"] == []


def test_a_second_ctrl_c_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    settings = {"COMPAREFACE_SERVER__READINESS_DELAY_S": "60", "COMPAREFACE_LIMITS__DEADLINE_S": "60"}
    with running_server(settings, log=tmp_path / "log") as server, closing(_asked(server, _case(), body_bytes=9)):
        server.process.send_signal(signal.SIGINT)
        while _readiness(server) == HTTPStatus.OK:
            time.sleep(0.05)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 130
    assert [record for record in _lines(tmp_path / "log") if record["level"] != "info"] == []


def _readiness(server: Server) -> int:
    with closing(HTTPConnection(server.host, server.port, timeout=10)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status


def _start(environment: dict[str, str], first: str = ":") -> subprocess.CompletedProcess[str]:
    """Start a server that cannot work, and return how it ended; what measures coverage would write files, too."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        ["sh", "-c", f'{first} && exec "$0" -m app serve', sys.executable],
        env={**inherited, "COMPAREFACE_SERVER__PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_file_of_keys_that_cannot_be_read_stops_the_start_in_one_line(tmp_path: Path) -> None:
    done = _start({"COMPAREFACE_AUTH__KEYS_FILE": str(tmp_path)})
    assert (done.returncode, done.stderr) == (
        1,
        f"compareface: COMPAREFACE_AUTH__KEYS_FILE: {tmp_path}: Is a directory\n",
    )


def test_a_file_of_keys_that_goes_bad_leaves_the_keys_before_it_in_force(tmp_path: Path) -> None:
    keys, log = tmp_path / "keys.toml", tmp_path / "log"
    keys.write_text(f'[callers.mine]\nkeys = [{{ label = "1", secret_key = "{SECRET_KEY}" }}]\n')
    mine = Case(ErrorCode.SERVER_ERROR, "", secret_id="mine", secret_key=SECRET_KEY)
    with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}, log=log) as server:
        for spoil in (lambda: keys.write_text(f'secret_key = "{SECRET_KEY}'), keys.unlink, keys.mkdir):
            spoil()
            time.sleep(1.1)
            assert code_of(send(server, mine)) == "OK"
    complaints = [
        str(record["reason"])
        for record in _lines(log)
        if record["message"] == "key file reload failed, keeping the previous keys"
    ]
    assert [complaint.partition(": ")[2] for complaint in complaints] == [
        f"{keys}, end of document: not TOML",
        f"{keys}: No such file or directory",
        f"{keys}: Is a directory",
    ]
    assert SECRET_KEY not in log.read_text()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("ulimit -f 100", "File too large"),
        ('mount -t tmpfs -o size=100k tmpfs "$COMPAREFACE_MODELS__WEIGHTS_DIR"', "No space left on device"),
        ('mount -t tmpfs -o ro tmpfs "$COMPAREFACE_MODELS__WEIGHTS_DIR"', "Read-only file system"),
    ],
)
def test_a_folder_that_takes_no_weights_stops_the_start_in_one_line(tmp_path: Path, first: str, reason: str) -> None:
    if first.startswith("mount"):
        alone = ["unshare", "--mount", "true"]
        if subprocess.run(alone, capture_output=True, check=False).returncode:
            pytest.skip("file systems may not be mounted here")
        first = f'exec unshare --mount sh -c \'{first} && exec "$0" -m app serve\' "$0"'
    done = _start({"COMPAREFACE_MODELS__WEIGHTS_DIR": str(tmp_path)}, first)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f": {reason}. " in done.stderr
    assert list(tmp_path.rglob("*.onnx")) == []


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that may have 300 files open."""
    log = tmp_path_factory.mktemp("narrow") / "log"
    with running_server(log=log, first="ulimit -n 300") as server:
        yield server, log


def test_more_connections_than_files_may_be_open_hurt_nobody_but_themselves(narrow: tuple[Server, Path]) -> None:
    server, log = narrow
    held = [socket.create_connection((server.host, server.port), timeout=10) for _ in range(400)]
    time.sleep(0.5)
    used_before = _cpu_s(server)
    assert code_of(send(server)) == "OK"
    time.sleep(1)
    assert _cpu_s(server) - used_before < 0.8, "it spins"
    assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < 300
    closed = sum(_is_closed(connection) for connection in held)
    assert closed >= 200
    for connection in held:
        connection.close()
    assert code_of(send(server)) == "OK"
    assert [record for record in _lines(log) if record["level"] == "error"] == []


def _cpu_s(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_core_dumps_are_off(narrow: tuple[Server, Path]) -> None:
    limits = Path(f"/proc/{narrow[0].process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


@pytest.fixture(scope="module")
def single() -> Iterator[Server]:
    """One request at a time; a second one waits for four seconds."""
    limits = {"MAX_IN_FLIGHT": "1", "MAX_WAIT_S": "4"}
    settings = {f"COMPAREFACE_LIMITS__{name}": value for name, value in limits.items()}
    with running_server({"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", **settings}) as server:
        yield server


def test_the_place_of_a_caller_who_leaves_comes_back_at_once(single: Server, pictures: str) -> None:
    """The first is at work on a picture that takes five seconds, the others wait; then all of them leave."""
    stalled = _case(UrlA=f"{pictures}/stall")
    gone = [_asked(single, stalled) for _ in range(4)]
    time.sleep(0.5)
    for connection in gone:
        connection.close()
    started = time.monotonic()
    assert code_of(send(single)) == "OK"
    assert time.monotonic() - started < 3


def _asked(server: Server, case: Case, body_bytes: int | None = None) -> socket.socket:
    """Return a connection on which the case's request has been sent, or only the beginning of its body."""
    connection = socket.create_connection((server.host, server.port), timeout=10)
    headers, body = signed(server, case)
    head = {"Host": server.endpoint, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection.sendall(f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body[:body_bytes])
    return connection
