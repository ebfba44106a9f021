"""The application for other ASGI servers."""

import logging
from contextlib import nullcontext

import pytest

from app.asgi import serve_app
from app.engine import Engine
from app.environment import SettingsError
from tests.support.fakes import FakeEngine


def test_serve_app_requires_keys_because_the_address_may_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPAREFACE_AUTH__KEYS", raising=False)
    with pytest.raises(SettingsError, match="COMPAREFACE_AUTH__KEYS"):
        serve_app()


def test_serve_app_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "a:b")
    monkeypatch.setattr(Engine, "open", lambda _: nullcontext(FakeEngine()))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        assert serve_app().title == "compareface"
    finally:
        root.handlers = handlers
        root.setLevel(level)
