"""Bodies -> parameters: JSON, forms and multipart. Malformed bodies raise only ``ApiError``."""

import json
import tracemalloc
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import parameters
from app.api.request import FORM, CloudRequest
from app.errors import ApiError, ErrorCode
from tests.support.fakes import COMMON, client_of, response_of

_MULTIPART = "multipart/form-data; boundary=xyz"
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0;'), min_size=1, max_size=20)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


def _multipart(values: dict[str, str], extra: str = "", disposition: str = "form-data") -> bytes:
    parts = [
        f'--xyz\r\nContent-Disposition: {disposition}; name="{name}"{extra}\r\n\r\n{value}\r\n'
        for name, value in values.items()
    ]
    return "".join([*parts, "--xyz--\r\n"]).encode()


def _error_code(body: bytes, content_type: str) -> ErrorCode | None:
    try:
        parameters.action_parameters(CloudRequest("POST", "/", "", {"content-type": content_type}, body))
    except ApiError as error:
        return error.code
    return None


async def _json_error(body: bytes) -> object:
    async with client_of() as client:
        return response_of(await client.post("/", content=body, headers=COMMON))["Error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'""',
        b"[]",
        b"null",
        b"1",
        b"{",
        b'{"UrlA":"a"}x',
        b"UrlA=a",
        b'{"UrlA":"\xff"}',
        b'{"QualityControl":NaN}',
        b'{"QualityControl":Infinity}',
        b'{"QualityControl":' + b"1" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"UrlA":"\\ud800"}',
        b'{"\\ud800":1}',
        '{"UrlA":"a"}'.encode("utf-16"),
        b'{"UrlA":' * 100_000,
        b"[" * 100_000,
    ],
)
async def test_a_body_that_is_not_a_json_object_is_invalid(body: bytes) -> None:
    assert await _json_error(body) == {
        "Code": "InvalidParameter",
        "Message": "The request body is not a valid JSON object, as content-type=application/json requires.",
    }


async def test_json_with_too_many_values_is_invalid() -> None:
    assert await _json_error(b'{"UrlA":[' + b"[]," * 1000 + b"[]]}") == {
        "Code": "InvalidParameter",
        "Message": "The request has too many values.",
    }


@given(st.dictionaries(_NAMES, _TEXTS, max_size=5))
def test_forms_round_trip(values: dict[str, str]) -> None:
    assert parameters.from_form(urlencode(values).encode()) == values


@given(st.dictionaries(_NAMES, _TEXTS.filter(lambda text: "xyz" not in text), max_size=5))
def test_multipart_bodies_round_trip(values: dict[str, str]) -> None:
    if values:
        assert parameters.from_multipart(_multipart(values), _MULTIPART) == values


@given(st.dictionaries(_NAMES, _TEXTS | st.integers(-9, 9) | st.none(), max_size=5))
def test_json_objects_round_trip_without_nulls(values: dict[str, object]) -> None:
    expected = {name: value for name, value in values.items() if value is not None}
    if json.dumps(values).count(",") < 200:
        assert parameters.from_json(json.dumps(values).encode()) == expected


@given(st.binary(max_size=300) | st.text('{}[]",:=&%+-xyz\r\n;ContentDispositionname', max_size=200).map(str.encode))
@pytest.mark.parametrize("content_type", ["application/json", FORM, _MULTIPART, "multipart/form-data; boundary=", ""])
def test_random_bodies_raise_only_api_errors(content_type: str, body: bytes) -> None:
    assert _error_code(body, content_type) in {None, ErrorCode.INVALID_PARAMETER, ErrorCode.INVALID_REQUEST}


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4))
def test_changed_multipart_bodies_raise_only_api_errors(changes: list[tuple[int, int]]) -> None:
    body = bytearray(_multipart({"UrlA": "http://a", "QualityControl": "1"}))
    for position, byte in changes:
        body[position % len(body)] = byte
    assert _error_code(bytes(body), _MULTIPART) in {None, ErrorCode.INVALID_PARAMETER, ErrorCode.INVALID_REQUEST}


def test_a_bare_name_in_a_form_is_an_empty_value() -> None:
    assert parameters.from_form(b"Language&Action=x&Region=&A.0") == {
        "Language": "",
        "Action": "x",
        "Region": "",
        "A.0": "",
    }


def test_form_values_may_be_raw_utf8() -> None:
    assert parameters.from_form("UrlA=http://a/中".encode()) == {"UrlA": "http://a/中"}


@pytest.mark.parametrize(
    "form", [b'{"UrlA":"a"}', b"a=1&a=2", b"a=%FF", b"a=\xff", b"&", b"a=1&&b=2", b"a=1&" * 300, b"a b", b"a=%" + b"FF"]
)
def test_malformed_forms_are_invalid(form: bytes) -> None:
    assert _error_code(form, FORM) is ErrorCode.INVALID_PARAMETER


def test_a_multipart_file_is_a_value_and_its_name_is_ignored() -> None:
    body = _multipart({"ImageA": "x" * 100_000}, '; filename="../../etc/passwd"\r\nContent-Type: image/jpeg')
    assert parameters.from_multipart(body, _MULTIPART) == {"ImageA": "x" * 100_000}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (_multipart({"a": "1"}), "multipart/form-data"),
        (_multipart({"a": "1"}), "multipart/form-data; boundary=other"),
        (_multipart({"a": "1"})[:-8], _MULTIPART),
        (_multipart({"a": "1"}).replace(b"1", b"\xff"), _MULTIPART),
        (_multipart({"a": "1"}, "\r\nContent-Transfer-Encoding: rot13"), _MULTIPART),
        (_multipart({"a": "1"}, "\r\nContent-Transfer-Encoding: base64"), _MULTIPART),
        (_multipart({f"a{n}": "1" for n in range(300)}), _MULTIPART),
        (b"", _MULTIPART),
        (_multipart({"a": "1"}), "multipart/form-data; boundary=" + "x" * 300),
    ],
)
def test_malformed_multipart_bodies_are_invalid(body: bytes, content_type: str) -> None:
    assert _error_code(body, content_type) is ErrorCode.INVALID_REQUEST


def test_a_multipart_value_may_contain_the_characters_of_a_short_boundary() -> None:
    body = _multipart({"a": "Ax" * 1000}).replace(b"xyz", b"x")
    assert parameters.from_multipart(body, "multipart/form-data; boundary=x") == {"a": "Ax" * 1000}


@pytest.mark.parametrize("form", [b"UrlA=" + b"%" * 2**20, b"UrlA=" + b"%A" * 2**19, b"a&" * 2**19])
def test_a_hostile_form_needs_little_memory(form: bytes) -> None:
    tracemalloc.start()
    _error_code(form, FORM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(form)


def test_invalid_percent_escapes_are_kept() -> None:
    assert parameters.from_form(b"UrlA=100%&UrlB=%zz%4") == {"UrlA": "100%", "UrlB": "%zz%4"}


def test_a_repeated_name_is_invalid() -> None:
    body = _multipart({"a": "1"})[:-9] + b"\r\n" + _multipart({"a": "2"})
    assert _error_code(body, _MULTIPART) is ErrorCode.INVALID_PARAMETER
