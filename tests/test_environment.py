import re

import pytest

from app.environment import MASK, Settings, SettingsError, environment_text, load_settings, settings_fields


def _load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"COMPAREFACE_{name}", value)
    return load_settings()


def test_every_setting_has_a_description() -> None:
    fields = settings_fields().values()
    assert len(fields) > 15
    assert all(field.description and field.description.endswith(".") for field in fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SERVR__PORT", "1"), ("SERVER__PROT", "1"), ("SERVER", "{}"), ("server__x", "1")],
)
def test_an_unknown_name_is_rejected(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match="unknown setting: COMPAREFACE_"):
        _load(monkeypatch, **{name: value})


@pytest.mark.parametrize("name", [name for name, field in settings_fields().items() if field.default is None])
def test_an_empty_value_of_an_optional_setting_is_no_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert load_settings() == Settings()


_NOT_ALLOWED = (
    "is neither a network (such as 10.1.0.0/16, without host bits) nor a host name (ASCII; no scheme, port or wildcard)"
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SERVER__PORT", "65536", "must be 65535 or less, not '65536'"),
        ("SERVER__PORT", "-1", "must be 0 or more, not '-1'"),
        ("SERVER__PORT", "http", "must be a whole number, not 'http'"),
        ("SERVER__PORT", "9" * 5000, f"must be a whole number of fewer digits, not '{'9' * 5000}'"),
        ("SERVER__HEALTH_PORT", "0", "must be 1 or more, not '0'"),
        ("SERVER__HOST", "", "must be non-empty, not ''"),
        ("SERVER__HOST", "127..0.0.1", "'127..0.0.1' is not an IP address or a host name"),
        ("SERVER__HOST", "a" * 64, f"'{'a' * 64}' is not an IP address or a host name"),
        ("SERVER__WORKERS", "9999999999", "must be 1024 or less, not '9999999999'"),
        ("AUTH__HOSTS", "u:secret@b", "'***@b' is not HOST or HOST:PORT, without scheme and path"),
        ("LIMITS__DEADLINE_S", "inf", "must be a finite number, not 'inf'"),
        ("LIMITS__DEADLINE_S", "1e300", "must be 2147483647 or less, not '1e300'"),
        ("LIMITS__MAX_BODY_BYTES", "9" * 20, f"must be 2147483647 or less, not '{'9' * 20}'"),
        ("RUNTIME__THREADS", "9" * 20, f"must be 1024 or less, not '{'9' * 20}'"),
        ("MODELS__MIRRORS", "u:se'cr/et@h/x", "'***@h/x' is not a URL that starts with https:// or http://"),
        (
            "TRACES__ENDPOINT",
            "http://u:p@h",
            "'***@h' is not a URL with a path, such as http://collector:4318/v1/traces",
        ),
        ("AUTH__MODE", "maybe", "must be 'required' or 'off', not 'maybe'"),
        ("AUTH__HOSTS", "a.example, https://b", "'https://b' is not HOST or HOST:PORT, without scheme and path"),
        ("AUTH__HOSTS", "b.example/iai", "'b.example/iai' is not HOST or HOST:PORT, without scheme and path"),
        ("AUTH__HOSTS", "b.example:https", "'b.example:https' is not HOST or HOST:PORT, without scheme and path"),
        ("AUTH__MAX_SKEW_S", "2.5", "must be a whole number, not '2.5'"),
        ("LIMITS__MAX_BODY_BYTES", "11", "must be 1024 or more, not '11'"),
        ("FETCH__ALLOW", "10.0.0.0/8,*.a", f"'*.a' {_NOT_ALLOWED}"),
        ("FETCH__ALLOW", "u:secret@b", f"'***@b' {_NOT_ALLOWED}"),
        ("LIMITS__DEADLINE_S", "0", "must be greater than 0, not '0'"),
        ("LIMITS__DEADLINE_S", "soon", "must be a number, not 'soon'"),
        ("MODELS__PACK", "../../etc", "'../../etc' is not a pack name: lower-case letters, digits, '_' and '-'"),
        ("MODELS__MIRRORS", "https://a.example, /b", "'/b' is not a URL that starts with https:// or http://"),
        ("MODELS__MIRRORS", '["a"]', "'[\"a\"]' is not a URL that starts with https:// or http://"),
        ("RUNTIME__DEVICE", "abacus", "must be 'cpu', 'cuda' or 'tensorrt', not 'abacus'"),
        ("RUNTIME__INT8", "maybe", "must be true or false, not 'maybe'"),
        ("COMPARE__MATCHING_STRATEGY", "2", "must be 0 or 1, not '2'"),
        ("COMPARE__POPULATION", "anyone", "must be 'general' or 'matched', not 'anyone'"),
        ("MODELS__REQUIRE_FIT", "perhaps", "must be true or false, not 'perhaps'"),
        ("MODELS__MIRRORS", "https://[/x", "'https://[/x' is not a URL that starts with https:// or http://"),
        ("MODELS__MIRRORS", "http://u:se/cret@h", "'***@h' is not a URL that starts with https:// or http://"),
        ("TRACES__ENDPOINT", "a:4318", "'a:4318' is not a URL with a path, such as http://collector:4318/v1/traces"),
    ],
)
def test_the_error_for_an_invalid_value_states_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(monkeypatch, **{name: value})
    assert str(caught.value) == f"COMPAREFACE_{name}: {message}"


_HOSTILE = [
    "?", "", "-1", "nan", "inf", "-inf", "1e400", "1e300", "9" * 20, "1" + 4400 * "0", "[]", "a b", "a\n", " ", "..",
    "\x1b[31m", "a" * 64, "人脸:密钥", '["id:key"]', "\udcff", "id:\udcff", "https://user:topsecret@host/x",
    "user:topsecret@host",
]  # fmt: skip


@pytest.mark.parametrize("value", _HOSTILE)
@pytest.mark.parametrize("name", settings_fields())
def test_a_hostile_value_is_refused_in_one_line_or_kept_by_the_output_of_config(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    try:
        loaded = _value(load_settings(), name)
    except SettingsError as error:
        text = str(error)
        assert text.startswith("COMPAREFACE_")
        assert name in text
        assert not re.search(r"\n|Input should|Value error|[Pp]ydantic|validation error", text)
    else:
        text = environment_text(loaded)
        if MASK not in text:
            assert text == text.strip()
            monkeypatch.setenv(name, text)
            assert _value(load_settings(), name) == loaded
    assert "topsecret" not in text or "Path" in str(settings_fields()[name].annotation)


def _value(settings: Settings, name: str) -> object:
    return [value for _, group in settings for _, value in group][list(settings_fields()).index(name)]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"SERVER__TLS_CERT": "tls.crt"},
            "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY must be set together",
        ),
        (
            {"SERVER__TLS_KEY": "tls.key", "SERVER__TLS_CERT": ""},
            "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY must be set together",
        ),
        (
            {"SERVER__HEALTH_PORT": "9000", "SERVER__PORT": "9000"},
            "COMPAREFACE_SERVER__HEALTH_PORT and COMPAREFACE_SERVER__PORT must differ",
        ),
    ],
)
def test_settings_of_the_server_that_contradict_each_other_are_rejected(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{message}$"):
        _load(monkeypatch, **environment)


def test_variables_that_kubernetes_adds_for_a_service_called_compareface_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.0.0.7:80",
        "PORT_80_TCP_ADDR": "10.0.0.7",
    }
    assert _load(monkeypatch, **variables) == Settings()


def test_mirrors_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, MODELS__MIRRORS="https://a.example/models, http://10.0.0.7:8080")
    assert settings.models.mirrors == ("https://a.example/models", "http://10.0.0.7:8080")


def test_an_id_may_have_several_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, AUTH__KEYS="id1:old, id2:k:with:colons ,id1:new,")
    assert settings.auth.secret_keys == {"id1": ("old", "new"), "id2": ("k:with:colons",)}
    assert not settings.is_open


@pytest.mark.parametrize(
    "keys", ["nokey", "id:", ":key", "id1:key,broken", '["id:key"]', "id:k e y", "id:密钥", "a/b:key"]
)
def test_the_error_for_a_malformed_key_does_not_show_it(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    with pytest.raises(SettingsError, match=r"^COMPAREFACE_AUTH__KEYS: entry [12] is not of the form") as caught:
        _load(monkeypatch, AUTH__KEYS=keys)
    assert keys not in str(caught.value)


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, AUTH__KEYS="id1:topsecret")
    assert "topsecret" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_served_without_keys(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    settings = _load(monkeypatch, SERVER__HOST=host)
    settings.check_may_serve(on_loopback=settings.server.is_loopback)
    assert settings.is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "compareface.example"])
def test_other_addresses_need_keys(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    settings = _load(monkeypatch, SERVER__HOST=host)
    with pytest.raises(SettingsError, match=r"^no keys are configured.*COMPAREFACE_AUTH__MODE=off"):
        settings.check_may_serve(on_loopback=settings.server.is_loopback)


@pytest.mark.parametrize("environment", [{"AUTH__MODE": "off"}, {"AUTH__KEYS": "id:key"}])
def test_other_addresses_are_served_with_keys_or_with_authentication_off(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    settings = _load(monkeypatch, SERVER__HOST="0.0.0.0", **environment)
    settings.check_may_serve(on_loopback=False)
    assert settings.is_open == ("AUTH__MODE" in environment)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, FETCH__ALLOW="10.0.0.0/8, minio.local", AUTH__HOSTS="")
    assert settings.fetch.allow == ("10.0.0.0/8", "minio.local")
    assert settings.auth.hosts == ()


def test_public_hosts_may_have_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, AUTH__HOSTS="face.example, face.example:8443, 人脸.example,[::1]:80")
    assert settings.auth.hosts == ("face.example", "face.example:8443", "人脸.example", "[::1]:80")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().server.port = 1  # type: ignore[misc]


def test_the_error_for_a_misspelt_name_suggests_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"COMPAREFACE_AUTH__KEY \(did you mean COMPAREFACE_AUTH__KEYS\?\)$"):
        _load(monkeypatch, AUTH__KEY="a:b")
