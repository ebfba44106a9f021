"""``compareface bench``: the stages of a real image, and load on a real service."""

import json
from pathlib import Path

import pytest

from app.cli import main
from tests.support.images import astronaut, jpeg, shrunk
from tests.support.server import Server


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(shrunk(astronaut(), 256)))
    return path


@pytest.fixture
def key(live_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{live_server.secret_id}:{live_server.secret_key}")


def test_stages_are_printed_as_a_table(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "stages", str(photo)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        "decode", "detect", "landmarks", "align", "embed", "total", "networks", "ratio",
    ]  # fmt: skip


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("loop", [["--concurrency", "2"], ["--rate", "5"]])
def test_a_service_under_load_is_measured(
    live_server: Server, photo: Path, loop: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"http://{live_server.endpoint}"
    command = ["bench", "load", str(photo), "--endpoint", endpoint, "--seconds", "1", "--json", *loop]
    assert main(command) == 0
    output = json.loads(capsys.readouterr().out)
    assert set(output["answers"]) == {"OK"}
    assert output["answers"]["OK"] >= 3
    assert 0 < output["median_ms"] <= output["p99_ms"] <= output["max_ms"]


def test_a_load_without_requests_is_refused(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "load", str(photo), "--seconds", "1", "--rate", "0.5"]) == 1
    assert (
        capsys.readouterr().err == "compareface: the load has no request: --rate times --seconds must be at least 1\n"
    )


@pytest.mark.parametrize("option", ["--seconds", "--rate"])
@pytest.mark.parametrize("value", ["0", "nan"])
def test_seconds_and_rate_must_be_above_zero(
    photo: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "load", str(photo), option, value])
    assert f"argument {option}: must be above 0" in capsys.readouterr().err


@pytest.mark.usefixtures("key")
def test_a_load_without_success_prints_valid_json(
    live_server: Server, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "unknown:key")
    command = ["bench", "load", str(photo), "--endpoint", f"http://{live_server.endpoint}", "--seconds", "0.2"]
    assert main([*command, "--json"]) == 1
    output = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert output["median_ms"] is output["max_ms"] is None
    assert main(command) == 1
    assert "median ms               -\n" in capsys.readouterr().out


@pytest.mark.parametrize("clients", ["0", "-1"])
def test_a_load_needs_a_client(photo: Path, clients: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bench", "load", str(photo), "--concurrency", clients])
    assert stop.value.code == 2
    assert "argument --concurrency: must be above 0" in capsys.readouterr().err
