"""The key file: its content, its errors, and reloading."""

import logging
import os
from pathlib import Path

import pytest

from app.api.auth.keys import ANONYMOUS, Caller, KeyRing
from app.domain import FaceModelVersion, Population
from app.environment import SettingsError
from app.errors import ApiError, ErrorCode
from app.settings import AuthSettings

_FULL = """
[callers.AKIDa]
keys = [
    { label = "new", secret_key = "one" },
    { label = "sts", secret_key = "two", token = "t", expires = 2030-01-01T00:00:00Z },
]
requests_per_second = 50
actions = ["CompareFace"]
default_face_model_version = "2.0"
face_model_versions = ["2.0"]

[callers.b]
keys = [{ label = "only", secret_key = "three" }]
"""
_MATCHED = 'population = "matched"\n'
"""Appended to ``_FULL``, it belongs to the caller ``b``."""
_EXPIRING = '[callers.c]\nkeys = [{{ label = "only", secret_key = "topsecret", expires = {} }}]\n'
_SHORT = '[callers.c]\nkeys = [{ label = "only", secret_key = "four" }]\n'


def key_ring(file: Path, keys: str = "", now: list[float] | None = None) -> KeyRing:
    clock = now or [0.0]
    return KeyRing.open(AuthSettings.model_validate({"keys": keys, "keys_file": file}), lambda: clock[0])


def write(file: Path, text: str, mtime: int = 1) -> Path:
    file.write_text(text, encoding="utf-8")
    os.utime(file, (mtime, mtime))
    return file


def test_a_key_file_sets_keys_and_permissions(tmp_path: Path) -> None:
    callers = key_ring(write(tmp_path / "keys.toml", _FULL), "env:five").callers()
    assert list(callers) == ["env", "AKIDa", "b"]
    caller = callers["AKIDa"]
    assert [(key.label, key.secret_key, key.token) for key in caller.keys] == [("new", "one", ""), ("sts", "two", "t")]
    assert not caller.keys[0].is_expired(1e11)
    assert not caller.keys[1].is_expired(1893455999)
    assert caller.keys[1].is_expired(1893456000)
    assert (caller.requests_per_second, caller.actions) == (50, frozenset({"CompareFace"}))
    assert callers["env"] == Caller(keys=callers["env"].keys)
    assert callers["env"].keys[0].label == "1"


def test_repr_contains_no_secrets(tmp_path: Path) -> None:
    text = repr(key_ring(write(tmp_path / "keys.toml", _FULL.replace('"one"', '"topsecret"'))).callers())
    assert "topsecret" not in text
    assert "label='sts'" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[callers", "keys.toml, end of document: not TOML$"),
        ('[callers.a]\nkeys = [{ label = "x", secret_key = "topsecret"', ", end of document: not TOML$"),
        ('[callers.a]\nkeys = [{ label = "x", secret_key = topsecret }]', ", line 2, column 37: not TOML$"),
        (_SHORT + _SHORT.replace("four", "topsecret"), ", line 3, column 11: not TOML$"),
        ("[callers.a]\nkeys = []", ": a has no keys"),
        ('[callers.a]\nkeys = [{ label = "x", secret_key = "1" }, { label = "x", secret_key = "2" }]', "same label"),
        ('[callers.a]\nkeys = [{ secret_key = "topsecret" }]', r"callers.a.keys.0.label: is missing"),
        ('[callers.a]\nkeys = [{ label = "", secret_key = "topsecret" }]', r"callers.a.keys.0.label"),
        ('[callers.a]\nkeys = [{ label = "x", secret_key = "" }]', r"callers.a.keys.0.secret_key"),
        (
            _SHORT.replace(" }", ', token = "None" }'),
            "callers.c: a token is a text that clients send instead of no token",
        ),
        (_SHORT.replace(" }", ', token = " " }'), r"callers.c.keys.0.token: must be ASCII characters without spaces$"),
        (_SHORT + "rate = 5", r"callers.c.rate: is not a known name$"),
        (_SHORT.replace("secret_key", "secret_ky"), r"\.secret_ky: is not a known name \(did you mean secret_key\?\)"),
        (_SHORT.replace("callers", "caller"), r"caller: is not a known name \(did you mean callers\?\)$"),
        (_SHORT + "action = []", r"callers.c.action: is not a known name \(did you mean actions\?\)$"),
        (_SHORT + "population_ = 1", r"callers.c.population_: is not a known name \(did you mean population\?\)$"),
        (_SHORT.replace('"only"', '"a b"'), r"label: must be 1 to 64 letters, digits, '_', '\.' and '-'$"),
        (_EXPIRING.format('"soon"'), r"expires: must be a date and time with a time zone, such as 2030-"),
        (_EXPIRING.format("2030-01-01"), r"expires: must be a date and time with a time zone, such as 2030-"),
        (_EXPIRING.format("2030-01-01T00:00:00"), r"expires: must be a date and time with a time zone, such as 2030-"),
        (_EXPIRING.format("[]"), r"expires: must be a date and time with a time zone, such as 2030-"),
        (_SHORT + "requests_per_second = 1.5", r"requests_per_second: must be a whole number$"),
        (_SHORT + 'actions = "CompareFace"', r"callers.c.actions: must be a list$"),
        (_SHORT + 'actions = ["CompareFaces"]', r"callers.c.actions.0: must be 'CompareFace' or 'DetectFace'$"),
        (_SHORT.replace('"four"', '"…"'), r"callers.c.keys.0.secret_key: must be ASCII characters without spaces$"),
        (_SHORT.replace(" }", ', token = "…" }'), r"callers.c.keys.0.token: must be ASCII characters without spaces$"),
        (
            _SHORT.replace(" }", ', token = "a b" }'),
            r"callers.c.keys.0.token: must be ASCII characters without spaces$",
        ),
        (
            _SHORT.replace("callers.c", 'callers."客户"'),
            r": '客户' is not a SecretId of letters, digits, '_', '.' and '-'$",
        ),
        (
            _SHORT.replace("callers.c", 'callers."a/b"'),
            r": 'a/b' is not a SecretId of letters, digits, '_', '.' and '-'$",
        ),
        ("callers = 1", r"callers: must be a table$"),
        ("[callers]\na = 1", r"callers.a: must be a table$"),
        ("[callers.a]\nkeys = 1", r"callers.a.keys: must be a list$"),
        ("[callers.a]\nkeys = [1]", r"callers.a.keys.0: must be a table$"),
        (
            "[callers.a]\nkeys = [{ label = 1, secret_key = 2 }]",
            r"label: must be a string; .*secret_key: must be a string$",
        ),
        (_SHORT + "requests_per_second = 0", r"callers.c.requests_per_second"),
        (_SHORT + 'face_model_versions = ["4.0"]', r"callers.c.face_model_versions"),
        (_SHORT + 'face_model_versions = ["2.0"]', r"default_face_model_version is not among"),
        (_SHORT + 'population = "anyone"', r"callers.c.population: .*'general' or 'matched'"),
        ('[keys.a]\nsecret_key = "topsecret"', r"keys: is not a known name"),
    ],
)
def test_an_invalid_file_is_an_error_at_startup_that_contains_no_secret(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=rf"^COMPAREFACE_AUTH__KEYS_FILE: .*{message}") as caught:
        key_ring(write(tmp_path / "keys.toml", text))
    assert "topsecret" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_bytes(_SHORT.encode() + "# Schl\u00fcssel".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"keys.toml, line 3: not UTF-8$"):
        key_ring(tmp_path / "keys.toml")


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(_SHORT, encoding="utf-8-sig")
    assert list(key_ring(tmp_path / "keys.toml").callers()) == ["c"]


def test_a_missing_file_is_an_error_at_startup(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        key_ring(tmp_path / "keys.toml")


def test_a_secret_id_in_both_file_and_settings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AKIDa is also in COMPAREFACE_AUTH__KEYS"):
        key_ring(write(tmp_path / "keys.toml", _FULL), "AKIDa:x")


def test_a_changed_file_is_reloaded_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app")
    file, now = write(tmp_path / "keys.toml", _FULL), [0.0]
    subject = key_ring(file, "env:five", now)
    write(file, _SHORT, mtime=2)
    now[0] = 0.9
    assert list(subject.callers()) == ["env", "AKIDa", "b"]
    now[0] = 1.0
    assert list(subject.callers()) == ["env", "c"]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["key file reloaded", "the key file has keys of fewer than 16 characters"]


def test_short_keys_of_the_file_are_accepted_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    subject = key_ring(write(tmp_path / "keys.toml", _FULL.replace('"one"', f'"{16 * "x"}"')), "env:five")
    subject.log_short_keys()
    (record,) = caplog.records
    assert vars(record)["fields"] == {"keys": ["AKIDa/sts", "b/only"]}
    caplog.clear()
    key_ring(write(tmp_path / "keys.toml", _SHORT.replace("four", 16 * "x"))).log_short_keys()
    assert not caplog.records


def test_an_invalid_change_is_logged_once_and_the_previous_keys_stay_active(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, now = write(tmp_path / "keys.toml", _SHORT), [0.0]
    subject = key_ring(file, now=now)
    for moment, text in enumerate(("[callers", ""), start=2):
        write(file, text, mtime=moment)
        now[0] += 2.0
        assert list(subject.callers()) == ["c"]
    file.unlink()
    now[0] += 2.0
    subject.callers()
    now[0] += 2.0
    subject.callers()
    assert [record.getMessage() for record in caplog.records] == [
        "key file reload failed, keeping the previous keys"
    ] * 3
    reasons = [str(vars(record)["fields"]) for record in caplog.records]
    assert "end of document: not TOML" in reasons[0]
    assert "has no callers" in reasons[1]
    assert "No such file" in reasons[2]


def test_a_population_that_the_calibration_lacks_is_an_error_at_startup(tmp_path: Path) -> None:
    subject = key_ring(write(tmp_path / "keys.toml", _FULL + _MATCHED))
    assert subject.callers()["b"].population is Population.MATCHED
    subject.restrict_populations(frozenset(Population))
    message = r"KEYS_FILE: b selects the population matched, but the calibration has only general$"
    with pytest.raises(SettingsError, match=message):
        subject.restrict_populations({Population.GENERAL})


def test_a_new_population_that_the_calibration_lacks_leaves_the_previous_keys_active(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, now = write(tmp_path / "keys.toml", _SHORT), [0.0]
    subject = key_ring(file, now=now)
    subject.restrict_populations({Population.GENERAL})
    write(file, _FULL + _MATCHED, mtime=2)
    now[0] = 2.0
    assert list(subject.callers()) == ["c"]
    (record,) = caplog.records
    assert record.getMessage() == "key file reload failed, keeping the previous keys"
    assert "b selects the population matched" in vars(record)["fields"]["reason"]


def test_a_file_that_becomes_readable_again_is_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, now = write(tmp_path / "keys.toml", _FULL), [0.0]
    subject = key_ring(file, now=now)
    write(file, _SHORT, mtime=2)
    read = Path.read_text

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    now[0] = 1.0
    assert list(subject.callers()) == ["AKIDa", "b"]
    monkeypatch.setattr(Path, "read_text", read)
    now[0] = 2.0
    assert list(subject.callers()) == ["c"]


def test_a_symbolic_link_with_a_new_target_is_reloaded(tmp_path: Path) -> None:
    first, second = (
        write(tmp_path / "1.toml", _SHORT),
        write(tmp_path / "2.toml", _SHORT.replace("callers.c", "callers.d")),
    )
    link, now = tmp_path / "keys.toml", [0.0]
    link.symlink_to(first)
    subject = key_ring(link, now=now)
    (tmp_path / "next").symlink_to(second)
    (tmp_path / "next").rename(link)
    now[0] = 1.0
    assert list(subject.callers()) == ["d"]


@pytest.mark.parametrize(
    ("caller", "requested", "used"),
    [
        (ANONYMOUS, None, "3.0"),
        (ANONYMOUS, "2.0", "2.0"),
        (ANONYMOUS, "4.0", None),
        (ANONYMOUS, "", None),
        (Caller(default_face_model_version=FaceModelVersion.V2), None, "2.0"),
        (Caller(default_face_model_version=FaceModelVersion.V2), "3.0", "3.0"),
        (Caller(face_model_versions=frozenset({FaceModelVersion.V3})), "3.0", "3.0"),
        (Caller(face_model_versions=frozenset({FaceModelVersion.V3})), "2.0", None),
    ],
)
def test_a_caller_has_default_and_allowed_model_versions(
    caller: Caller, requested: str | None, used: str | None
) -> None:
    if used is not None:
        assert caller.face_model_version(requested) == used
        return
    with pytest.raises(ApiError) as caught:
        caller.face_model_version(requested)
    assert caught.value.code is ErrorCode.FACE_MODEL_VERSION_ILLEGAL


def test_a_key_file_without_callers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("")
    with pytest.raises(SettingsError, match=r"keys\.toml has no callers$"):
        KeyRing.open(AuthSettings(keys_file=path))
