"""Property-based tests of the parameter formats and the settings."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.api import parameters
from app.api.request import CloudRequest
from app.environment import SettingsError, load_settings, settings_fields
from app.errors import ApiError, ErrorCode

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(_TEXTS, children, max_size=4),
    max_leaves=20,
)
_PAIRS = st.dictionaries(_TEXTS.filter(bool), _TEXTS, max_size=20)
_TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b")


@given(st.dictionaries(_TEXTS, _JSON_VALUES, max_size=8))
def test_json_is_parsed_as_by_the_standard_library(values: dict[str, object]) -> None:
    text = json.dumps(values)
    assume(text.count(",") <= 256)
    assert parameters.from_json(text.encode()) == {name: value for name, value in values.items() if value is not None}


@given(_PAIRS)
def test_a_form_is_parsed_to_its_original_pairs(pairs: dict[str, str]) -> None:
    encoded = "&".join("=".join(_escaped(part) for part in pair) for pair in pairs.items())
    assert parameters.from_form(encoded.encode()) == pairs


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@given(st.lists(_TEXTS, max_size=20))
def test_a_multipart_body_is_parsed_to_its_original_values(values: list[str]) -> None:
    parameters_by_name = {f"p{number}": value for number, value in enumerate(values)}
    boundary = "=" * 30
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    body = (
        "".join(f'{head}{name}"\r\n\r\n{value}\r\n' for name, value in parameters_by_name.items())
        + f"--{boundary}--\r\n"
    )
    assert parameters.from_multipart(body.encode(), f'multipart/form-data; boundary="{boundary}"') == parameters_by_name


@given(st.binary(max_size=300), st.sampled_from(_TYPES))
def test_any_body_is_parsed_or_rejected_with_an_error_code(body: bytes, content_type: str) -> None:
    request = CloudRequest("POST", "/", "", {"content-type": content_type}, body)
    assert _error_code(request) in {None, ErrorCode.INVALID_PARAMETER, ErrorCode.INVALID_REQUEST}


def _error_code(request: CloudRequest) -> ErrorCode | None:
    try:
        parameters.action_parameters(request)
    except ApiError as error:
        return error.code
    return None


@given(
    st.sampled_from(list(settings_fields())),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
)
def test_the_error_for_an_invalid_setting_contains_its_name_and_no_secret_key(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        message = _settings_error()
    assert not message or name in message
    assert name != "COMPAREFACE_AUTH__KEYS" or len(value) <= 8 or value not in message


def _settings_error() -> str:
    """Return the error of ``load_settings``; empty if the settings are valid."""
    try:
        load_settings()
    except SettingsError as error:
        return str(error)
    return ""
