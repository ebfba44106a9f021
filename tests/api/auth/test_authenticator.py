"""The authentication policy: signatures, keys, clocks, tokens, and the order of errors."""

import hmac
from pathlib import Path

import pytest

from app.api.auth.authenticator import Authenticator
from app.api.auth.hosts import signed_locations
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode
from app.settings import AuthSettings
from tests.api.auth.signed import BODY, authenticator, outcome, tc3_request, v1_request
from tests.support.fakes import KEYS_FILE, NOW, SECRET_ID, SECRET_KEY, authorization, v1_parameters


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, "OK"), (300, "OK"), (300.9, "OK"), (-300, "OK"), (301, "SIGNATURE_EXPIRE"), (-301, "SIGNATURE_EXPIRE")],
)
def test_a_timestamp_may_differ_by_the_allowed_skew(offset: float, expected: str) -> None:
    assert outcome(authenticator(now=NOW + offset), tc3_request(authorization(BODY))) == expected


def test_a_clock_jump_affects_only_requests_during_the_jump() -> None:
    moments = iter([NOW, NOW + 86_400, NOW - 86_400, NOW])
    settings = AuthSettings.model_validate({"keys": f"{SECRET_ID}:{SECRET_KEY}"})
    subject = Authenticator(settings, KeyRing.open(settings), is_open=False, clock=lambda: next(moments))
    good = tc3_request(authorization(BODY))
    outcomes = [_headers_outcome(subject, good) for _ in range(4)]
    assert outcomes == ["OK", "SIGNATURE_EXPIRE", "SIGNATURE_EXPIRE", "OK"]


def _headers_outcome(subject: Authenticator, request: CloudRequest) -> str:
    try:
        subject.check_credential(request)
    except ApiError as error:
        return error.code.name
    return "OK"


@pytest.mark.parametrize(
    ("key", "expected"), [("old", "OK"), ("new", "OK"), ("foreign", "SIGNATURE_FAILURE"), ("", "SIGNATURE_FAILURE")]
)
def test_every_key_of_a_secret_id_is_accepted(key: str, expected: str) -> None:
    subject = authenticator(f"{SECRET_ID}:old,other:foreign,{SECRET_ID}:new")
    assert outcome(subject, tc3_request(authorization(BODY, secret_key=key))) == expected


def test_an_unsigned_payload_may_be_any_body() -> None:
    header = authorization(BODY, content_sha256="UNSIGNED-PAYLOAD")
    assert outcome(authenticator(), tc3_request(header, b"other", x_tc_content_sha256="UNSIGNED-PAYLOAD")) == "OK"
    assert outcome(authenticator(), tc3_request(header)) == "SIGNATURE_FAILURE"


def test_the_query_of_a_get_is_signed_as_sent() -> None:
    header = authorization(method="GET", query="B=1&A=a+b%2F\xe4")
    assert outcome(authenticator(), tc3_request(header, b"", "GET", "B=1&A=a+b%2F\xe4")) == "OK"
    assert outcome(authenticator(), tc3_request(header, b"", "GET", "A=a+b%2F\xe4&B=1")) == "SIGNATURE_FAILURE"


_OLD = NOW - 100_000
_GOOD = authorization(BODY)
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
        ("SKIP", "", "INVALID_AUTHORIZATION"),
        ("nonsense", str(_OLD), "INVALID_AUTHORIZATION"),
        (_GOOD, str(_OLD), "INVALID_AUTHORIZATION"),
        (authorization(BODY, secret_id="unknown-id", timestamp=_OLD), str(_OLD), "SECRET_ID_NOT_FOUND"),
        (authorization(BODY, secret_key="wrong", timestamp=_OLD), str(_OLD), "SIGNATURE_EXPIRE"),
        (_FORGED, str(NOW), "SIGNATURE_FAILURE"),
        (_GOOD, str(NOW + 1), "SIGNATURE_FAILURE"),
        (_GOOD, str(NOW), "OK"),
    ],
)
def test_errors_of_tc3_are_raised_in_order(header: str, timestamp: str, expected: str) -> None:
    assert outcome(authenticator(), tc3_request(header, x_tc_timestamp=timestamp)) == expected


@pytest.mark.parametrize("header", ["", "SKIP", "nonsense", _FORGED])
def test_open_mode_requires_no_signature(header: str) -> None:
    assert outcome(authenticator(is_open=True), tc3_request(header, x_tc_timestamp="")) == "OK"


def test_the_error_does_not_contain_the_expected_signature() -> None:
    subject = authenticator()
    with pytest.raises(ApiError) as caught:
        subject.verify(tc3_request(_FORGED), subject.check_credential(tc3_request(_FORGED)))
    assert caught.value.text == ErrorCode.SIGNATURE_FAILURE.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("signature_method", ["HmacSHA1", "HmacSHA256", ""])
def test_v1_signatures_are_verified(method: str, signature_method: str) -> None:
    sent = v1_parameters(
        method, SignatureMethod=signature_method, UrlA="http://a/?x=1&y=中 ", Region="", Nonce="9" * 19
    )
    assert outcome(authenticator(), v1_request(method, **sent)) == "OK"
    assert outcome(authenticator(), v1_request(method, **{**sent, "UrlA": "http://b/"})) == "SIGNATURE_FAILURE"
    assert outcome(authenticator(), v1_request("PUT", **sent)) == "SIGNATURE_FAILURE"


def test_white_space_around_a_v1_signature_is_ignored() -> None:
    sent = v1_parameters()
    assert outcome(authenticator(), v1_request(**{**sent, "Signature": sent["Signature"] + "\n"})) == "OK"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"without": "Timestamp"}, "MISSING_PARAMETER"),
        ({"without": "Nonce"}, "MISSING_PARAMETER"),
        ({"without": "SecretId"}, "MISSING_PARAMETER"),
        ({"Timestamp": "soon", "Nonce": "x"}, "INVALID_PARAMETER"),
        ({"Nonce": "-1"}, "INVALID_PARAMETER"),
        ({"SecretId": "unknown-id", "Timestamp": "1"}, "SECRET_ID_NOT_FOUND"),
        ({"Timestamp": "1", "secret_key": "wrong"}, "SIGNATURE_EXPIRE"),
        ({"secret_key": "wrong"}, "SIGNATURE_FAILURE"),
        ({"Token": "x"}, "TOKEN_FAILURE"),
        ({}, "OK"),
    ],
)
def test_errors_of_signature_v1_are_raised_in_order(changes: dict[str, str], expected: str) -> None:
    assert outcome(authenticator(), v1_request(**v1_parameters(**changes))) == expected


def test_a_v1_request_without_signature_lacks_a_parameter() -> None:
    sent = {name: value for name, value in v1_parameters().items() if name != "Signature"}
    assert outcome(authenticator(), v1_request(**sent)) == "MISSING_PARAMETER"


@pytest.mark.parametrize(
    ("secret_id", "secret_key", "token", "expected"),
    [
        (SECRET_ID, SECRET_KEY, "", "OK"),
        (SECRET_ID, f"{SECRET_KEY}-OLD", "", "OK"),
        (SECRET_ID, SECRET_KEY, "undefined", "OK"),
        (SECRET_ID, SECRET_KEY, "null", "OK"),
        (SECRET_ID, SECRET_KEY, "None", "OK"),
        (SECRET_ID, SECRET_KEY, "nil", "OK"),
        (SECRET_ID, SECRET_KEY, " ", "OK"),
        (SECRET_ID, SECRET_KEY, "TOKEN", "TOKEN_FAILURE"),
        (SECRET_ID, SECRET_KEY, "undefined1", "TOKEN_FAILURE"),
        (SECRET_ID, SECRET_KEY, "undefined null", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "TOKEN", "OK"),
        ("temporary", SECRET_KEY, "TOKEM", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "undefined", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "token", "TOKEN_FAILURE"),
        ("temporary", "PAST", "TOKEN", "TOKEN_FAILURE"),
        ("temporary", "wrong", "TOKEN", "SIGNATURE_FAILURE"),
    ],
)
def test_temporary_credentials_require_their_token(
    secret_id: str, secret_key: str, token: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    settings = AuthSettings(keys_file=file)
    subject = Authenticator(settings, KeyRing.open(settings), is_open=False, clock=lambda: NOW)
    header = authorization(BODY, secret_id=secret_id, secret_key=secret_key)
    assert outcome(subject, tc3_request(header, x_tc_token=token)) == expected
    parameters = v1_parameters(SecretId=secret_id, secret_key=secret_key, Token=token)
    assert outcome(subject, v1_request(**parameters)) == expected


@pytest.mark.parametrize(("skip", "expected"), [("allow", "OK"), ("refuse", "INVALID_AUTHORIZATION")])
def test_a_setting_allows_requests_that_skip_signing(skip: str, expected: str) -> None:
    settings = AuthSettings.model_validate({"keys": "a:b", "skip": skip})
    subject = Authenticator(settings, KeyRing.open(settings), is_open=False, clock=lambda: NOW)
    assert outcome(subject, tc3_request("SKIP")) == expected
    assert outcome(subject, tc3_request(_FORGED)) != "OK"


def test_every_wrong_signature_takes_the_same_constant_time_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def spy(claimed: bytes, computed: bytes) -> bool:
        compared.append((len(claimed), len(computed)))
        return compare(claimed, computed)

    monkeypatch.setattr("app.api.auth.authenticator.hmac.compare_digest", spy)
    right = _GOOD[-64:]
    counts = set()
    for position in range(64):
        wrong = right[:position] + ("0" if right[position] != "0" else "1") + right[position + 1 :]
        compared.clear()
        assert outcome(authenticator(hosts="b,c"), tc3_request(_GOOD[:-64] + wrong)) == "SIGNATURE_FAILURE"
        assert set(compared) == {(64, 64)}
        counts.add(len(compared))
    assert counts == {len(signed_locations("127.0.0.1:8000", "/", ("b", "c")))}


@pytest.mark.parametrize(("v1_policy", "expected"), [("allow", "OK"), ("refuse", "SIGNATURE_FAILURE")])
def test_a_setting_rejects_v1_signatures(v1_policy: str, expected: str) -> None:
    settings = AuthSettings.model_validate({"keys": f"{SECRET_ID}:{SECRET_KEY}", "v1": v1_policy})
    subject = Authenticator(settings, KeyRing.open(settings), is_open=False, clock=lambda: NOW)
    assert outcome(subject, v1_request(**v1_parameters())) == expected
    assert outcome(subject, tc3_request(_GOOD)) == "OK"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("none", "OK"),
        ("same-origin", "OK"),
        ("same-site", "UNAUTHORIZED_OPERATION"),
        ("cross-site", "UNAUTHORIZED_OPERATION"),
    ],
)
def test_open_mode_rejects_pages_of_other_sites(site: str, expected: str) -> None:
    assert outcome(authenticator(is_open=True), tc3_request("", sec_fetch_site=site)) == expected
