"""The command line of ``compareface shadow``; ``tests/tools/shadow`` has its behaviour."""

from pathlib import Path

import pytest

from app.cli import main


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "a:b")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "AKIDcloud")
    monkeypatch.delenv("TENCENTCLOUD_SECRET_KEY", raising=False)


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"id": "empty"}\n')
    return path


def _shadow(requests: Path, *options: str) -> int:
    return main(["shadow", str(requests), "--out", str(requests.with_name("results.jsonl")), *options])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["--against", "http://127.0.0.1:9"],
            "--against needs the key of the remote service in TENCENTCLOUD_SECRET_ID and",
        ),
        (["--against", "iai.tencentcloudapi.com"], "iai.tencentcloudapi.com is not an http(s) URL"),
        (["--version", "2018-03-01"], "the API versions differ: name the threshold of the remote service, --threshold"),
        ([], "empty has neither `Score` nor `Error`: name the remote service with --against"),
    ],
)
def test_missing_options_are_reported(
    options: list[str], text: str, requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _shadow(requests, *options) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--rate", "0"], ["--concurrency", "-1"], ["--rate", "nan"]])
def test_rate_and_concurrency_must_be_above_0(
    option: list[str], requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _shadow(requests, *option)
    assert f"argument {option[0]}: must be above 0" in capsys.readouterr().err


def test_missing_files_and_folders_are_reported(requests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = requests.with_name("absent.jsonl")
    assert _shadow(absent) == 1
    assert capsys.readouterr().err == f"compareface: {absent}: No such file or directory\n"
    out = requests.with_name("nowhere") / "results.jsonl"
    assert main(["shadow", str(requests), "--out", str(out)]) == 1
    assert str(out.parent) in capsys.readouterr().err
