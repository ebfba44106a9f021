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
    assert "# COMPAREFACE_AUTH__KEYS=**********" in lines
    assert "COMPAREFACE_AUTH__HOSTS=a.example.com,b.example.com" in lines
    assert "COMPAREFACE_SERVER__PORT=9000" in lines
    assert "topsecret" not in "".join(lines)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("RUNTIME__INT8", None, "COMPAREFACE_RUNTIME__INT8=true"),
        ("RUNTIME__INT8", "0", "COMPAREFACE_RUNTIME__INT8=false"),
        ("METRICS__ENABLED", "yes", "COMPAREFACE_METRICS__ENABLED=true"),
        ("RUNTIME__THREADS", None, "COMPAREFACE_RUNTIME__THREADS="),
        ("RUNTIME__THREADS", "2", "COMPAREFACE_RUNTIME__THREADS=2"),
        ("SERVER__HEALTH_PORT", "", "COMPAREFACE_SERVER__HEALTH_PORT="),
        ("LIMITS__DEADLINE_S", "5", "COMPAREFACE_LIMITS__DEADLINE_S=5.0"),
        ("FETCH__ALLOW", None, "COMPAREFACE_FETCH__ALLOW="),
        ("FETCH__ALLOW", "10.1.0.0/16 , files", "COMPAREFACE_FETCH__ALLOW=10.1.0.0/16,files"),
        ("COMPARE__MATCHING_STRATEGY", None, "COMPAREFACE_COMPARE__MATCHING_STRATEGY=1"),
        ("COMPARE__POPULATION", "matched", "COMPAREFACE_COMPARE__POPULATION=matched"),
        ("MODELS__WEIGHTS_DIR", "/srv/my weights", "COMPAREFACE_MODELS__WEIGHTS_DIR=/srv/my weights"),
        ("AUTH__KEYS", "", "COMPAREFACE_AUTH__KEYS="),
        ("AUTH__KEYS_FILE", "/run/keys.toml\n", "COMPAREFACE_AUTH__KEYS_FILE=/run/keys.toml"),
        (
            "MODELS__MIRRORS",
            "https://a:b@h/x,http://c",
            "# COMPAREFACE_MODELS__MIRRORS=https://**********@h/x,http://c",
        ),
        ("TRACES__ENDPOINT", "http://a:b@h/v1", "# COMPAREFACE_TRACES__ENDPOINT=http://**********@h/v1"),
        ("AUTH__KEYS", "a:b", "# COMPAREFACE_AUTH__KEYS=**********"),
    ],
)
def test_values_are_printed_in_the_form_of_environment_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str | None, line: str
) -> None:
    if value is not None:
        monkeypatch.setenv(f"COMPAREFACE_{name}", value)
    assert main(["config"]) == 0
    assert line in capsys.readouterr().out.splitlines()


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
    assert "COMPAREFACE_RUNTIME__INT8 (default: true)" in text
