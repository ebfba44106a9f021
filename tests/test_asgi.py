"""The application for other ASGI servers."""

import logging

import pytest

from app.asgi import serve_app
from app.environment import SettingsError


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
