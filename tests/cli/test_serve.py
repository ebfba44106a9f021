"""``compareface serve``: the check, the start, and the real server on a real socket."""

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.serve import announcement, check, serve
from app.domain import CompareOptions, Comparison, ImageRef, Population
from app.environment import Settings, SettingsError
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.server.config import bind
from app.server.server import Server
from app.service.services import CalibrationInfo
from app.settings import AuthSettings, ServerSettings, TracesSettings
from tests.support.fakes import (
    COMMON,
    INFO,
    KEYS_FILE,
    OPEN,
    Behaviour,
    FakeEngine,
    FakeService,
    broken_comparison,
    code_of,
)


async def _no_face(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    raise ApiError(ErrorCode.NO_FACE_IN_PHOTO, image="A")


@pytest.mark.parametrize(
    ("comparison", "code", "text"),
    [(_no_face, 0, "works: pack fake on cpu"), (broken_comparison, 1, "gave FailedOperation.ServerError")],
)
async def test_check_succeeds_if_no_face_is_detected(
    comparison: Behaviour, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await check(OPEN, lambda _: nullcontext(FakeEngine(FakeService(comparison)))) == code
    assert text in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("server", "auth", "text"),
    [
        (
            {},
            {},
            "at http://127.0.0.1:8000: pack fake on cpu; population general: random; no keys: accepts requests from ",
        ),
        ({}, {"keys": "a:b,c:d,a:e"}, "signatures required (SecretIds: 2, keys: 3)"),
        ({"host": "::1"}, {}, "at http://[::1]:8000: "),
        ({"tls_cert": "a", "tls_key": "b"}, {}, "at https://127.0.0.1:8000: "),
        (
            {"host": "0.0.0.0"},
            {"mode": "off"},
            "signatures off: accepts every client that can reach it (COMPAREFACE_AUTH__MODE=off)",
        ),
    ],
)
def test_announcement_names_the_url_the_pack_and_the_access_rules(
    server: dict[str, str], auth: dict[str, str], text: str
) -> None:
    settings = Settings(server=ServerSettings.model_validate(server), auth=AuthSettings.model_validate(auth))
    line = announcement(settings, 8000, INFO)
    assert text in line
    assert "\n" not in line


def test_announcement_marks_an_automatically_chosen_pack() -> None:
    line = announcement(Settings(), 8000, replace(INFO, pack_is_automatic=True))
    assert ": pack fake (chosen automatically) on cpu; population general: random; " in line


def test_announcement_marks_a_partly_extrapolated_population() -> None:
    table = replace(INFO.default_population_info, status="partly extrapolated")
    calibration = {"fake": CalibrationInfo("measured", "2026-11-22", {Population.GENERAL: table})}
    line = announcement(Settings(), 8000, replace(INFO, calibration=calibration))
    assert "; population general (partly extrapolated): random; " in line


def test_announcement_has_the_notes_of_the_calibration() -> None:
    line = announcement(Settings(), 8000, replace(INFO, calibration_notes=["PROVISIONAL calibration"]))
    assert "on cpu; population general: random; PROVISIONAL calibration; no keys: " in line


class _PreparedError(Exception):
    """The weights would be prepared."""


def _prepare() -> None:
    raise _PreparedError


def _never_opened(_: Settings) -> AbstractAsyncContextManager[FakeEngine]:
    raise AssertionError


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("server", "auth", "message"),
    [
        ({}, {"keys_file": "{file}"}, "COMPAREFACE_AUTH__KEYS_FILE: {file}, end of document: not TOML"),
        (
            {"tls_cert": "{file}", "tls_key": "{file}"},
            {},
            "COMPAREFACE_SERVER__TLS_CERT: {file}: not a certificate chain in PEM format",
        ),
        ({"port": "{port}"}, {}, "Address already in use. Select another port"),
        ({"health_port": "{port}"}, {}, "Address already in use. Select another port"),
    ],
)
async def test_keys_certificate_and_ports_are_checked_before_the_weights_are_prepared(
    tmp_path: Path, workers: str, server: Mapping[str, str], auth: Mapping[str, str], message: str
) -> None:
    file = tmp_path / "file"
    file.write_text("[callers")
    with bind("127.0.0.1", 0) as used:
        used.listen()
        values = {"file": str(file), "port": str(used.getsockname()[1])}
        settings = Settings.model_validate(
            {
                "server": {"port": "0", "workers": workers}
                | {key: text.format(**values) for key, text in server.items()},
                "auth": {key: text.format(**values) for key, text in auth.items()},
            }
        )
        with pytest.raises((SettingsError, OSError), match=re.escape(message.format(**values))):
            await serve(settings, _never_opened, _prepare)


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_thread_of_an_exporter_runs_before_the_weights_are_prepared(workers: int) -> None:
    traces = TracesSettings(endpoint="http://127.0.0.1:9/v1/traces")
    threads = set(threading.enumerate())
    with pytest.raises(_PreparedError):
        await serve(Settings(server=ServerSettings(port=0, workers=workers), traces=traces), _never_opened, _prepare)
    assert set(threading.enumerate()) == threads


async def test_a_key_of_an_unavailable_population_stops_the_start_before_clients_connect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.toml").write_text(KEYS_FILE)
    settings = Settings(server=ServerSettings(port=0), auth=AuthSettings(keys_file=tmp_path / "keys.toml"))
    general = CalibrationInfo("measured", "2026-11-22", {Population.GENERAL: INFO.default_population_info})
    engine = FakeEngine(engine_info=replace(INFO, calibration={"fake": general}))
    with pytest.raises(SettingsError, match="limited selects the population matched") as caught:
        await serve(settings, lambda _: nullcontext(engine))
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


async def test_the_server_accepts_long_request_lines_invalid_hosts_and_unknown_methods(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers: list[Server] = []
    started = asyncio.Event()

    class Watched(Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            servers.append(self)
            started.set()

    monkeypatch.setattr("app.cli.serve.Server", Watched)
    settings = OPEN.model_copy(update={"server": ServerSettings(port=0, readiness_delay_s=0)})
    running = asyncio.create_task(serve(settings, lambda _: nullcontext(FakeEngine())))
    await asyncio.wait({running, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    base = capsys.readouterr().out.split(" at ")[1].split(": ")[0]
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        long = await client.get(f"/?UrlA=u&ImageB={'x' * 32_000}", headers=COMMON)
        invalid_host = await client.post(
            "/", content=b'{"UrlA":"u","UrlB":"u"}', headers={**COMMON, "Host": f"{base}/"}
        )
        brew = await client.request("BREW", "/", headers=COMMON)
    assert gc.get_freeze_count()
    gc.unfreeze()
    servers[0].should_exit = True
    assert await running == 0
    assert (code_of(long), code_of(invalid_host), code_of(brew)) == ("OK", "OK", "UnsupportedProtocol")
    assert "server" not in long.headers
    assert "date" in long.headers


_PROGRAM = """
import sys, types
from contextlib import asynccontextmanager
from app.cli import main
from tests.support.fakes import FakeEngine

@asynccontextmanager
async def opened(settings):
    try:
        yield FakeEngine()
    finally:
        print("closed", flush=True)

sys.modules["app.engine"] = types.SimpleNamespace(Engine=types.SimpleNamespace(open=opened))
sys.exit(main(sys.argv[1:]))
"""


def test_sigterm_stops_the_server_and_closes_the_engine() -> None:
    environment = {**os.environ, "COMPAREFACE_SERVER__PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b" at http://127.0.0.1:" in process.stdout.readline()
        for line in process.stderr:
            if b"startup complete" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"closed\n"
    assert process.returncode == 0


def test_a_low_limit_of_open_files_is_logged_once() -> None:
    command = f'ulimit -n 200; exec "{sys.executable}" -c "$0" serve'
    with subprocess.Popen(
        ["bash", "-c", command, _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COMPAREFACE_SERVER__PORT": "0"},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert " at http://127.0.0.1:" in process.stdout.readline()
        process.terminate()
        assert process.communicate(timeout=30)[1].count("the limit of open files allows fewer connections") == 1


def test_the_port_is_bound_before_a_pack_is_built_or_downloaded(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        environment = {"COMPAREFACE_SERVER__PORT": str(port), "COMPAREFACE_MODELS__WEIGHTS_DIR": str(tmp_path)}
        completed = _serve_with_budget(environment)
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr.startswith(f"compareface: 127.0.0.1:{port}: Address already in use. Select another port")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pack_ends_the_start_in_one_line(tmp_path: Path) -> None:
    environment = {"COMPAREFACE_MODELS__PACK": "omz", "COMPAREFACE_MODELS__WEIGHTS_DIR": str(tmp_path)}
    completed = _serve_with_budget({"COMPAREFACE_SERVER__PORT": "0", **environment})
    assert (completed.returncode, completed.stdout) == (1, "")
    assert "pull omz" in completed.stderr
    assert completed.stderr.count("\n") == 1


def _serve_with_budget(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, "serve", "--budget", "5"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_check_runs_from_the_command_line() -> None:
    completed = subprocess.run([sys.executable, "-c", _PROGRAM, "serve", "--check"], capture_output=True, check=False)
    assert completed.returncode == 1
    assert b"gave no error" in completed.stderr
