"""The keys and the Host header of signed requests."""

from pathlib import Path

import pytest

from app.api.auth.keys import Key
from app.environment import SettingsError
from app.settings import AuthSettings
from app.tools.signing import host_header, pick_key, signed_headers


def _settings(tmp_path: Path, *callers: str) -> AuthSettings:
    """Return settings with a key file of ``callers``, which are TOML tables."""
    (tmp_path / "keys.toml").write_text("\n".join(callers))
    return AuthSettings(keys_file=tmp_path / "keys.toml")


_EXPIRED = '[callers.expired]\nkeys = [{ label = "1", secret_key = "a", expires = 2000-01-01T00:00:00Z }]'
_DETECT = '[callers.detect]\nkeys = [{ label = "1", secret_key = "b" }]\nactions = ["DetectFace"]'
_ANY = '[callers.any]\nkeys = [{ label = "1", secret_key = "c" }]'


def test_the_first_valid_key_that_may_call_the_action_is_picked(tmp_path: Path) -> None:
    settings = _settings(tmp_path, _EXPIRED, _DETECT, _ANY)
    assert pick_key(settings, None)[0] == "any"
    assert pick_key(settings, None, "DetectFace")[0] == "detect"
    assert pick_key(settings, "detect")[0] == "detect"


def test_without_a_valid_key_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no unexpired key may call CompareFace"):
        pick_key(_settings(tmp_path, _EXPIRED, _DETECT), None)


def test_a_key_file_without_callers_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^COMPAREFACE_AUTH__KEYS_FILE: .*keys\.toml has no callers$"):
        pick_key(_settings(tmp_path, ""), None)


def test_a_token_is_sent_with_the_signature() -> None:
    key = Key(label="1", secret_key="secret", token="temporary")
    assert signed_headers("id", key, "127.0.0.1", b"{}", 1)["X-TC-Token"] == "temporary"


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://a.example.com/", "a.example.com"),
        ("http://a.example.com:80", "a.example.com"),
        ("https://a.example.com:443", "a.example.com"),
        ("https://a.example.com:80", "a.example.com:80"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_host_header_is_the_one_that_curl_sends(endpoint: str, host: str) -> None:
    assert host_header(endpoint) == host


@pytest.mark.parametrize("endpoint", ["127.0.0.1:8000", "ftp://a", "http://", "http://a:port", "http://[::1"])
def test_an_invalid_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="is not a"):
        host_header(endpoint)
