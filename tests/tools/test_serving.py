"""The socket and the announcement of a server."""

import pytest

from app.environment import Settings
from app.settings import AuthSettings, ServerSettings
from app.tools.serving import announcement, bind

_FACTS = {"pack": "open", "device": "cpu"}


@pytest.mark.parametrize(
    ("server", "auth", "text"),
    [
        ({}, {}, "at http://127.0.0.1:8000: pack open on cpu; open, but on loopback only (no COMPAREFACE_AUTH__KEYS"),
        ({}, {"keys": "a:b,c:d,a:e"}, "signatures required (SecretIds: 2)"),
        ({"host": "::1"}, {}, "at http://[::1]:8000: "),
        ({"host": "0.0.0.0"}, {"mode": "off"}, "open to every client that can reach it (COMPAREFACE_AUTH__MODE=off)"),
    ],
)
def test_announcement_names_the_url_the_pack_and_the_access_rules(
    server: dict[str, str], auth: dict[str, str], text: str
) -> None:
    settings = Settings(server=ServerSettings.model_validate(server), auth=AuthSettings.model_validate(auth))
    line = announcement(settings, 8000, _FACTS)
    assert text in line
    assert "\n" not in line


def test_announcement_marks_an_automatically_chosen_pack() -> None:
    line = announcement(Settings(), 8000, {**_FACTS, "pack_is_automatic": True})
    assert ": pack open (chosen automatically) on cpu; " in line


def test_announcement_has_the_notes_of_the_calibration() -> None:
    line = announcement(Settings(), 8000, {**_FACTS, "calibration_notes": ["PROVISIONAL calibration"]})
    assert "on cpu; PROVISIONAL calibration; open, but" in line


def test_an_address_in_use_is_reported_with_the_address() -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port)


def test_an_unknown_host_is_reported() -> None:
    with pytest.raises(OSError, match="not an address"):
        bind("not an address", 0)
