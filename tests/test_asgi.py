"""The application for other ASGI servers."""

import logging
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from app.asgi import check_settings, create_app, serve_app
from app.domain import Population
from app.environment import Settings, SettingsError
from app.service.services import CalibrationInfo
from app.settings import AuthSettings, TracesSettings
from tests.support.fakes import INFO, KEYS_FILE, FakeEngine, client_of


def test_serve_app_requires_keys_because_the_address_may_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPAREFACE_AUTH__KEYS", raising=False)
    with pytest.raises(SettingsError, match="COMPAREFACE_AUTH__KEYS"):
        serve_app()


def test_serve_app_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "a:b")
    monkeypatch.setenv("COMPAREFACE_LOG__LEVEL", "error")
    monkeypatch.setenv("COMPAREFACE_PLAYGROUND__ENABLED", "true")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        paths = {getattr(route, "path", "") for route in serve_app().routes}
        assert "/playground" in paths
        assert root.level == logging.ERROR
    finally:
        root.handlers = handlers
        root.setLevel(level)


_TRACES = Settings(traces=TracesSettings(endpoint="http://127.0.0.1:9/v1/traces"))


def test_an_invalid_key_file_is_an_error_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("[callers")
    settings = Settings(auth=AuthSettings(keys_file=tmp_path / "keys.toml"))
    with pytest.raises(SettingsError, match="not TOML"):
        check_settings(settings)
    with pytest.raises(SettingsError, match="not TOML"):
        create_app(settings, lambda _: nullcontext(FakeEngine()))


def test_missing_packages_for_traces_are_an_error_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.ops.traces", None)
    with pytest.raises(SettingsError, match="COMPAREFACE_TRACES__ENDPOINT"):
        check_settings(_TRACES)


def test_an_invalid_variable_of_opentelemetry_is_an_error_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "abc")
    with pytest.raises(SettingsError, match=r"OTEL_.*OTEL_SPAN_EVENT_COUNT_LIMIT"):
        check_settings(_TRACES)


async def test_the_start_is_logged_with_the_population_and_unfit_packs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app")
    sentence = "The pack fake is for trying out: use the pack omz."
    async with client_of(engine=FakeEngine(engine_info=replace(INFO, unfit={"fake": sentence}))):
        pass
    started, unfit = (record for record in caplog.records if record.name == "app.asgi")
    population = {"population": "general", "calibration": "measured", "data": "random"}
    assert vars(started)["fields"] == {"pack": "fake", "device": "cpu", **population}
    assert (unfit.levelname, unfit.getMessage()) == ("WARNING", sentence)


async def test_a_key_of_an_unavailable_population_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(KEYS_FILE)
    general = CalibrationInfo("measured", "2026-11-22", {Population.GENERAL: INFO.default_population_info})
    engine = FakeEngine(engine_info=replace(INFO, calibration={"fake": general}))
    with pytest.raises(SettingsError, match="limited selects the population matched, but the calibration has only"):
        async with client_of(Settings(auth=AuthSettings(keys_file=tmp_path / "keys.toml")), engine):
            pass
