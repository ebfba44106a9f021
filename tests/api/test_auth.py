"""Who is let in: hosts, values, keys, clocks, and the order of refusals."""

from __future__ import annotations

import pytest

from app.api.auth import Authenticator, host_candidates
from app.api.request import CloudRequest
from app.config import AuthSettings
from app.errors import ApiError, ErrorCode
from tests.api.fakes import NOW, SECRET_ID, SECRET_KEY, authorization

_BODY = b'{"UrlA":"http://a/1.jpg"}'


def authenticator(
    keys: str = f"{SECRET_ID}:{SECRET_KEY}", *, is_open: bool = False, now: float = NOW, hosts: str = ""
) -> Authenticator:
    settings = AuthSettings.model_validate({"keys": keys, "hosts": hosts})
    return Authenticator(settings, is_open, lambda: now)


def request(header: str, body: bytes = _BODY, method: str = "POST", query: str = "", **headers: str) -> CloudRequest:
    sent = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "x-tc-timestamp": str(NOW),
        "authorization": header,
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return CloudRequest(method, query, sent, body)


def verdict(subject: Authenticator, asked: CloudRequest) -> str:
    try:
        subject.verify(asked, subject.examine(asked))
    except ApiError as error:
        return error.code.name
    return "OK"


@pytest.mark.parametrize(
    ("sent", "signed", "expected"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", "OK"),
        ("127.0.0.1:8000", "127.0.0.1", "OK"),
        ("localhost:8000", "localhost", "OK"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "OK"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/", "OK"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000", "OK"),
        ("https://faces.lan", "faces.lan", "OK"),
        ("[::1]:8000", "[::1]", "OK"),
        ("backend:8000", "faces.example.com", "OK"),
        ("backend:8000", "iai.tencentcloudapi.com", "OK"),
        ("Backend:8000", "backend:8000", "OK"),
        ("Backend:8000", "Backend:8000", "OK"),
        ("backend:8000", "Backend:8000", "SIGNATURE_FAILURE"),
        ("backend:8000", "other.example.com", "SIGNATURE_FAILURE"),
        ("backend:8000", "", "SIGNATURE_FAILURE"),
    ],
)
def test_host_may_be_signed_in_the_ways_that_clients_do(sent: str, signed: str, expected: str) -> None:
    subject = authenticator(hosts="faces.example.com, 人脸.example.com")
    assert verdict(subject, request(authorization(_BODY, host=signed), host=sent)) == expected


def test_host_candidates_start_with_what_was_sent() -> None:
    assert host_candidates("a:1", ("b",)) == ("a:1", "a", "b", "iai.tencentcloudapi.com")


@pytest.mark.parametrize("signed", ["compareface", "CompareFace"])
def test_values_may_be_signed_in_lower_case_or_as_sent(signed: str) -> None:
    header = authorization(_BODY, extra={"x-tc-action": signed})
    assert verdict(authenticator(), request(header, x_tc_action="CompareFace")) == "OK"
    assert verdict(authenticator(), request(header, x_tc_action="DetectFace")) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("service", ["iai", "127", "localhost:8000", "http://127"])
def test_any_service_is_accepted(service: str) -> None:
    assert verdict(authenticator(), request(authorization(_BODY, service=service))) == "OK"


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, "OK"), (300, "OK"), (300.9, "OK"), (-300, "OK"), (301, "SIGNATURE_EXPIRE"), (-301, "SIGNATURE_EXPIRE")],
)
def test_clocks_may_differ_by_the_allowed_skew(offset: float, expected: str) -> None:
    assert verdict(authenticator(now=NOW + offset), request(authorization(_BODY))) == expected


@pytest.mark.parametrize(
    ("key", "expected"), [("old", "OK"), ("new", "OK"), ("stranger", "SIGNATURE_FAILURE"), ("", "SIGNATURE_FAILURE")]
)
def test_several_keys_of_one_id_are_all_good(key: str, expected: str) -> None:
    subject = authenticator(f"{SECRET_ID}:old,other:stranger,{SECRET_ID}:new")
    assert verdict(subject, request(authorization(_BODY, secret_key=key))) == expected


def test_unsigned_payload_leaves_the_body_free() -> None:
    header = authorization(_BODY, content_sha256="UNSIGNED-PAYLOAD")
    assert verdict(authenticator(), request(header, b"other", x_tc_content_sha256="UNSIGNED-PAYLOAD")) == "OK"
    assert verdict(authenticator(), request(header)) == "SIGNATURE_FAILURE"


def test_query_of_a_get_is_signed_as_sent() -> None:
    header = authorization(method="GET", query="B=1&A=a+b%2F\xe4")
    assert verdict(authenticator(), request(header, b"", "GET", "B=1&A=a+b%2F\xe4")) == "OK"
    assert verdict(authenticator(), request(header, b"", "GET", "A=a+b%2F\xe4&B=1")) == "SIGNATURE_FAILURE"


_OLD = NOW - 100_000
_GOOD = authorization(_BODY)
_FORGED = _GOOD[:-64] + "0" * 64


@pytest.mark.parametrize(
    ("header", "timestamp", "expected"),
    [
        ("", "", "MISSING_PARAMETER"),
        ("", str(NOW), "MISSING_PARAMETER"),
        ("nonsense", "", "MISSING_PARAMETER"),
        (_GOOD, "soon", "INVALID_PARAMETER"),
        (_GOOD, "-1", "INVALID_PARAMETER"),
        (_GOOD, "1_7", "INVALID_PARAMETER"),
        (_GOOD, "9" * 12, "INVALID_PARAMETER"),
        ("SKIP", str(NOW), "INVALID_AUTHORIZATION"),
        ("nonsense", str(_OLD), "INVALID_AUTHORIZATION"),
        (_GOOD, str(_OLD), "INVALID_AUTHORIZATION"),
        (authorization(_BODY, secret_id="nobody", timestamp=_OLD), str(_OLD), "SECRET_ID_NOT_FOUND"),
        (authorization(_BODY, secret_key="wrong", timestamp=_OLD), str(_OLD), "SIGNATURE_EXPIRE"),
        (_FORGED, str(NOW), "SIGNATURE_FAILURE"),
        (_GOOD, str(NOW + 1), "SIGNATURE_FAILURE"),
        (_GOOD, str(NOW), "OK"),
    ],
)
def test_refusals_come_in_order(header: str, timestamp: str, expected: str) -> None:
    assert verdict(authenticator(), request(header, x_tc_timestamp=timestamp)) == expected


@pytest.mark.parametrize("header", ["", "SKIP", "nonsense", _FORGED])
def test_open_mode_asks_for_nothing(header: str) -> None:
    assert verdict(authenticator(is_open=True), request(header, x_tc_timestamp="")) == "OK"


def test_refusal_tells_nothing_about_the_expected_signature() -> None:
    subject = authenticator()
    with pytest.raises(ApiError) as caught:
        subject.verify(request(_FORGED), subject.examine(request(_FORGED)))
    assert caught.value.text == ErrorCode.SIGNATURE_FAILURE.text
