"""``compareface models``: list, pull, prepare, verify and optimize."""

import argparse
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import models
from app.environment import SettingsError
from app.packs.manifest import PackError
from app.vision import int8_check
from tests.packs.mirror import ARCHIVE, Mirror, serve_tiny


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    models.configure(parser)
    return models.run(parser.parse_args(arguments))


_BUILT = "centerface.onnx, dlib_resnet_v1_capped.onnx, dlib_resnet_v1_capped_int8.onnx (35.5 MB)"


def test_list_shows_every_file_with_its_licence_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PACK", "FILE", "LICENCE", "COMMERCIAL", "SIZE", "SHA256", "STATE"]
    rows = [line.split() for line in lines[1:] if line.startswith("open ")]
    assert rows == [
        ["open", "centerface.onnx", "MIT", "yes", "7.3", "MB", "52a990eabea1", "ready"],
        ["open", "dlib_resnet_v1_capped.onnx", "CC0-1.0", "yes", "22.4", "MB", "343155327157", "ready"],
        ["open", "dlib_resnet_v1_capped_int8.onnx", "CC0-1.0", "yes", "5.8", "MB", "a3d7df27981d", "ready"],
    ]
    assert lines[0].index("STATE") == next(line for line in lines if line.startswith("open ")).index("ready")
    assert next(line.split()[-6:-4] for line in lines if line.startswith("buffalo_l ")) == ["research", "NO"]


@pytest.mark.parametrize("name", [(), ("open",)])
def test_prepare_builds_missing_files_only_once(
    weights: Path, capsys: pytest.CaptureFixture[str], name: tuple[str, ...]
) -> None:
    assert _run("prepare", *name) == 0
    assert capsys.readouterr().out == f"pack open is ready: built {_BUILT}\n"
    assert len(list(weights.glob("open/*"))) == 3
    assert _run("prepare", *name) == 0
    assert capsys.readouterr() == ("pack open is ready\n", "")


def test_prepare_builds_only_files_that_are_not_ready(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights / "open").mkdir()
    for ready in (Path(__file__).resolve().parents[2] / "models" / "open").glob("dlib*.onnx"):
        (weights / "open" / ready.name).symlink_to(ready)
    (weights / "open" / "centerface.onnx").write_bytes(b"tampered")
    _run("list")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("open ")]
    assert [row[-1] for row in rows] == ["changed", "ready", "ready"]
    assert _run("prepare") == 0
    assert capsys.readouterr().out == "pack open is ready: built centerface.onnx (7.3 MB)\n"


def test_verify_reports_an_intact_pack(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("verify", "open") == 0
    assert capsys.readouterr().out == "pack open is intact: 3 files match their digests\n"


@pytest.mark.usefixtures("weights")
def test_verify_names_missing_files() -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx is missing, dlib_resnet_v1_capped\.onnx is missing"):
        _run("verify")


def test_optimize_builds_the_int8_model_and_reports_whether_it_is_used(
    weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run("optimize", "open") == 0
    text = capsys.readouterr().out
    numbers = re.fullmatch(
        r"pack open: dlib_resnet_v1_capped_int8\.onnx takes ([\d.]+) ms per face instead of ([\d.]+) \(one thread\), "
        r"with cosine (0\.999\d|1\.0000) to dlib_resnet_v1_capped\.onnx; "
        r"it is used; COMPAREFACE_RUNTIME__INT8=false switches it off\n",
        text,
    )
    assert numbers, text
    assert float(numbers[1]) > 0 < float(numbers[2])
    assert len(list(weights.glob("open/*"))) == 3
    monkeypatch.setenv("COMPAREFACE_RUNTIME__INT8", "false")
    assert _run("optimize", "open") == 0
    assert "it is not used because of COMPAREFACE_RUNTIME__INT8" in capsys.readouterr().out
    monkeypatch.setattr(int8_check, "int8_agreement", lambda *_: 0.9)
    assert _run("optimize", "open") == 0
    assert "it is NOT used here, because the cosine must be at least 0.998" in capsys.readouterr().out


@pytest.mark.usefixtures("mirror")
def test_optimize_reports_a_pack_without_int8_model(capsys: pytest.CaptureFixture[str]) -> None:
    _run("pull", "tiny", "--accept-license")
    capsys.readouterr()
    assert _run("optimize", "tiny") == 0
    assert capsys.readouterr().out.startswith("pack tiny has no int8 model")


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


_LICENCE = r"the models of pack tiny are under Research licence: research only \(https://example\.org/licence\)"


@pytest.fixture
def mirror(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Serve the pack `tiny`, whose licence must be accepted, and use a catalogue of `open` and `tiny`."""
    with serve_tiny(weights / "catalogue", monkeypatch, needs_acceptance=True) as served:
        yield served


def test_a_licence_is_shown_and_must_be_accepted(
    mirror: Mirror, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(PackError, match=rf"^{_LICENCE}; to accept the licence: .* pull tiny --accept-license$"):
        _run("pull", "tiny")
    assert mirror.requests == []
    assert _run("pull", "tiny", "--accept-license") == 0
    ready = r"pack tiny is ready: built detector.onnx, embedder.onnx (0.5 MB); licence: Research licence: research only"
    assert capsys.readouterr().out == ready + "\n"
    record = (weights / "tiny" / "LICENCE-ACCEPTED.toml").read_text("utf-8")
    assert 'licence = "Research licence"\nurl = "https://example.org/licence"\naccepted = 20' in record
    assert _run("pull", "tiny") == 0  # accepted before
    assert _run("verify", "tiny") == 0
    assert mirror.requests == [("/tiny.zip", "")]


@pytest.mark.parametrize(("answer", "accepted"), [("yes", True), ("Y", True), ("no", False), ("", False)])
@pytest.mark.usefixtures("mirror")
def test_a_terminal_user_is_asked_for_acceptance(answer: str, accepted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO(answer + "\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    if accepted:
        assert _run("pull", "tiny") == 0
    else:
        with pytest.raises(PackError, match="tiny was not pulled: its licence was not accepted"):
            _run("pull", "tiny")


@pytest.mark.usefixtures("mirror")
def test_a_pack_without_record_of_acceptance_is_refused(weights: Path) -> None:
    _run("pull", "tiny", "--accept-licence")
    record = weights / "tiny" / "LICENCE-ACCEPTED.toml"
    text = record.read_text("utf-8")
    for content in ("", "not TOML", text.replace("Research", "Other")):
        record.write_text(content, "utf-8")
        with pytest.raises(PackError, match=r"licence of pack tiny has not been accepted .*models pull tiny`"):
            _run("verify", "tiny")
    record.write_text(text, "utf-8")
    assert _run("verify", "tiny") == 0


def test_from_accepts_a_file_a_folder_or_a_url(mirror: Mirror, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "offered").mkdir()
    (tmp_path / "offered" / "tiny.zip").write_bytes(ARCHIVE)
    for origin in (str(tmp_path / "offered"), str(tmp_path / "offered" / "tiny.zip"), mirror.url):
        assert _run("pull", "tiny", "--accept-license", "--from", origin) == 0
        for name in ("detector.onnx", "embedder.onnx"):
            (weights / "tiny" / name).unlink()
    assert len(mirror.requests) == 1
    with pytest.raises(PackError, match="not both at once"):
        _run("pull", "tiny", "--accept-license", "--from", mirror.url, "--from", str(tmp_path))


@pytest.mark.usefixtures("mirror")
def test_prepare_does_not_download() -> None:
    with pytest.raises(PackError, match=r"detector\.onnx is missing, embedder\.onnx is missing; run `.* pull tiny`"):
        _run("prepare", "tiny")


def test_pull_builds_files_that_come_from_installed_packages(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("pull", "open") == 0
    assert f"pack open is ready: built {_BUILT}" in capsys.readouterr().out
    assert len(list(weights.glob("open/*"))) == 3


def test_an_action_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _run()
    assert stop.value.code == 2
    assert "ACTION" in capsys.readouterr().err
