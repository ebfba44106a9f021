from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from app.cli import models
from app.config import SettingsError
from app.packs.manifest import PackError


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    models.register(parser.add_subparsers())
    args = parser.parse_args(["models", *arguments])
    code: int = args.run(args)
    return code


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, named by the settings."""
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def test_list_shows_every_file_with_its_licence_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PACK", "FILE", "LICENCE", "SIZE", "SHA256", "STATE"]
    rows = [line.split() for line in lines[1:] if line.startswith("open ")]
    assert rows == [
        ["open", "centerface.onnx", "MIT", "7.3", "MB", "52a990eabea1", "ready"],
        ["open", "dlib_resnet_v1.onnx", "CC0-1.0", "22.4", "MB", "b778e1a50cf8", "ready"],
    ]
    assert lines[0].index("STATE") == lines[1].index("ready")


@pytest.mark.parametrize("name", [(), ("open",)])
def test_prepare_makes_the_files_and_then_says_that_they_are_ready(
    weights: Path, capsys: pytest.CaptureFixture[str], name: tuple[str, ...]
) -> None:
    assert _run("prepare", *name) == 0
    assert capsys.readouterr().out == "pack open is ready: made centerface.onnx, dlib_resnet_v1.onnx (29.7 MB)\n"
    assert len(list(weights.glob("open/*"))) == 2
    assert _run("prepare", *name) == 0
    assert capsys.readouterr() == ("pack open is ready\n", "")


def test_prepare_makes_only_what_is_not_ready(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ready = Path(__file__).resolve().parents[2] / "models" / "open" / "dlib_resnet_v1.onnx"
    (weights / "open").mkdir()
    (weights / "open" / ready.name).symlink_to(ready)
    (weights / "open" / "centerface.onnx").write_bytes(b"tampered")
    _run("list")
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == ["changed", "ready"]
    assert _run("prepare") == 0
    assert capsys.readouterr().out == "pack open is ready: made centerface.onnx (7.3 MB)\n"


def test_verify_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("verify", "open") == 0
    assert capsys.readouterr().out == "pack open is intact: 2 files match their digests\n"


@pytest.mark.usefixtures("weights")
def test_verify_names_what_is_not_as_recorded() -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx is missing, dlib_resnet_v1\.onnx is missing"):
        _run("verify")


@pytest.mark.parametrize("action", ["prepare", "verify"])
def test_an_unknown_pack_is_refused(action: str) -> None:
    with pytest.raises(PackError, match="there is no pack closed; known packs: "):
        _run(action, "closed")


def test_the_configured_pack_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_MODELS__PACK", "closed")
    with pytest.raises(PackError, match="there is no pack closed"):
        _run("verify")


def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_MODELS__PAKC", "open")
    with pytest.raises(SettingsError, match="COMPAREFACE_MODELS__PAKC"):
        _run("list")


def test_an_empty_catalogue_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.packs.store._CHECKOUT_CATALOGUE", tmp_path)
    monkeypatch.setattr("app.packs.store._WHEEL_CATALOGUE", tmp_path)
    with pytest.raises(PackError, match="catalogue of packs is empty"):
        _run("list")


def test_an_action_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _run()
    assert stop.value.code == 2
    assert "ACTION" in capsys.readouterr().err
