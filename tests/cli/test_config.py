"""``compareface config``: every setting, no secret."""

import pytest

from app.cli import main
from app.environment import load_settings, settings_fields


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "someone:topsecret")
    monkeypatch.setenv("COMPAREFACE_AUTH__HOSTS", "a.example.com, b.example.com")
    monkeypatch.setenv("COMPAREFACE_SERVER__PORT", "9000")


def test_effective_settings_are_printed_and_secrets_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix("# ").partition("=")[0] for line in lines] == list(settings_fields())
    assert "# COMPAREFACE_AUTH__KEYS=********" in lines
    assert "COMPAREFACE_AUTH__HOSTS=a.example.com,b.example.com" in lines
    assert "COMPAREFACE_SERVER__PORT=9000" in lines
    assert "COMPAREFACE_COMPARE__MATCHING_STRATEGY=1" in lines
    assert "# COMPAREFACE_RUNTIME__THREADS=" in lines
    assert "topsecret" not in "".join(lines)


def test_absent_keys_are_not_masked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COMPAREFACE_AUTH__KEYS")
    assert main(["config"]) == 0
    assert "COMPAREFACE_AUTH__KEYS=\n" in capsys.readouterr().out


def test_the_output_is_an_environment_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    settings = load_settings()
    for name, _, value in (line.partition("=") for line in lines if not line.startswith("#")):
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["config", "--help"])
    text = capsys.readouterr().out
    assert [name for name in settings_fields() if name not in text] == []
    assert "Address to listen on." in text
    assert "COMPAREFACE_SERVER__PORT (default: 8000)" in text
    assert "COMPAREFACE_AUTH__KEYS (no default)" in text
