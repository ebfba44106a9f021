"""Who is let in: hosts, values, keys, clocks, and the order of refusals."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from app.api.auth import tc3, v1
from app.api.auth.authenticator import Authenticator
from app.api.auth.credential import host_candidates
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode
from app.settings import AuthSettings
from tests.support.fakes import KEYS_FILE, NOW, SECRET_ID, SECRET_KEY, authorization, v1_parameters

_BODY = b'{"UrlA":"http://a/1.jpg"}'


def authenticator(
    keys: str = f"{SECRET_ID}:{SECRET_KEY}", *, is_open: bool = False, now: float = NOW, hosts: str = ""
) -> Authenticator:
    settings = AuthSettings.model_validate({"keys": keys, "hosts": hosts})
    return Authenticator(settings, KeyRing(settings), is_open, lambda: now)


def request(header: str, body: bytes = _BODY, method: str = "POST", query: str = "", **headers: str) -> CloudRequest:
    sent = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "x-tc-timestamp": str(NOW),
        "authorization": header,
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return CloudRequest(method, "/", query, sent).with_body(body, tc3.sha256(body))


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


def test_a_clock_that_jumps_refuses_until_it_is_right_again_and_keeps_nothing() -> None:
    moments = iter([NOW, NOW + 86_400, NOW - 86_400, NOW])
    settings = AuthSettings.model_validate({"keys": f"{SECRET_ID}:{SECRET_KEY}"})
    subject = Authenticator(settings, KeyRing(settings), is_open=False, clock=lambda: next(moments))
    good = request(authorization(_BODY))
    subject_says = [_examined(subject, good) for _ in range(4)]
    assert subject_says == ["OK", "SIGNATURE_EXPIRE", "SIGNATURE_EXPIRE", "OK"]


def _examined(subject: Authenticator, one: CloudRequest) -> str:
    try:
        subject.examine(one)
    except ApiError as error:
        return error.code.name
    return "OK"


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
        ("SKIP", "", "INVALID_AUTHORIZATION"),
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


def v1_request(method: str = "POST", path: str = "/", host: str = "127.0.0.1:8000", **parameters: str) -> CloudRequest:
    return CloudRequest(method, path, "", {"host": host}).with_v1(parameters)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("signature_method", ["HmacSHA1", "HmacSHA256", ""])
def test_the_older_signatures_verify(method: str, signature_method: str) -> None:
    sent = v1_parameters(
        method, SignatureMethod=signature_method, UrlA="http://a/?x=1&y=中 ", Region="", Nonce="9" * 19
    )
    assert verdict(authenticator(), v1_request(method, **sent)) == "OK"
    assert verdict(authenticator(), v1_request(method, **{**sent, "UrlA": "http://b/"})) == "SIGNATURE_FAILURE"
    assert verdict(authenticator(), v1_request("PUT", **sent)) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize(
    ("sent", "signed", "expected"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", "OK"),
        ("127.0.0.1:8000", "127.0.0.1", "OK"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "OK"),
        ("backend:8000", "iai.tencentcloudapi.com", "OK"),
        ("backend:8000", "other", "SIGNATURE_FAILURE"),
    ],
)
def test_the_older_signatures_know_the_same_hosts(sent: str, signed: str, expected: str) -> None:
    assert verdict(authenticator(), v1_request(host=sent, **v1_parameters(host=signed))) == expected


def test_the_older_signatures_cover_the_path() -> None:
    sent = v1_parameters(path="/foo/bar")
    assert verdict(authenticator(), v1_request(path="/foo/bar", **sent)) == "OK"
    assert verdict(authenticator(), v1_request(path="/", **sent)) == "SIGNATURE_FAILURE"


def test_names_may_be_signed_with_dots_for_underscores() -> None:
    signed = v1_parameters(**{"A.B": "1"})
    sent = {name.replace("A.B", "A_B"): value for name, value in signed.items()}
    assert verdict(authenticator(), v1_request(**sent)) == "OK"


def test_white_space_around_an_older_signature_is_ignored() -> None:
    sent = v1_parameters()
    assert verdict(authenticator(), v1_request(**{**sent, "Signature": sent["Signature"] + "\n"})) == "OK"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"without": "Timestamp"}, "MISSING_PARAMETER"),
        ({"without": "Nonce"}, "MISSING_PARAMETER"),
        ({"without": "SecretId"}, "MISSING_PARAMETER"),
        ({"Timestamp": "soon", "Nonce": "x"}, "INVALID_PARAMETER"),
        ({"Nonce": "-1"}, "INVALID_PARAMETER"),
        ({"SecretId": "nobody", "Timestamp": "1"}, "SECRET_ID_NOT_FOUND"),
        ({"Timestamp": "1", "secret_key": "wrong"}, "SIGNATURE_EXPIRE"),
        ({"secret_key": "wrong"}, "SIGNATURE_FAILURE"),
        ({"Token": "x"}, "TOKEN_FAILURE"),
        ({}, "OK"),
    ],
)
def test_refusals_of_the_older_dialect_come_in_order(changes: dict[str, str], expected: str) -> None:
    assert verdict(authenticator(), v1_request(**v1_parameters(**changes))) == expected


def test_an_older_request_without_its_signature_lacks_a_parameter() -> None:
    sent = {name: value for name, value in v1_parameters().items() if name != "Signature"}
    assert verdict(authenticator(), v1_request(**sent)) == "MISSING_PARAMETER"


@pytest.mark.parametrize(
    ("secret_id", "secret_key", "token", "expected"),
    [
        (SECRET_ID, SECRET_KEY, "", "OK"),
        (SECRET_ID, f"{SECRET_KEY}-OLD", "", "OK"),
        (SECRET_ID, SECRET_KEY, "TOKEN", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "TOKEN", "OK"),
        ("temporary", SECRET_KEY, "TOKEM", "TOKEN_FAILURE"),
        ("temporary", SECRET_KEY, "", "TOKEN_FAILURE"),
        ("temporary", "PAST", "TOKEN", "TOKEN_FAILURE"),
        ("temporary", "wrong", "TOKEN", "SIGNATURE_FAILURE"),
    ],
)
def test_temporary_credentials_need_their_token(
    secret_id: str, secret_key: str, token: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(KEYS_FILE)
    settings = AuthSettings(keys_file=file)
    subject = Authenticator(settings, KeyRing(settings), is_open=False, clock=lambda: NOW)
    header = authorization(_BODY, secret_id=secret_id, secret_key=secret_key)
    assert verdict(subject, request(header, x_tc_token=token)) == expected
    older = v1_parameters(SecretId=secret_id, secret_key=secret_key, Token=token)
    assert verdict(subject, v1_request(**older)) == expected


@pytest.mark.parametrize(("skip", "expected"), [("allow", "OK"), ("refuse", "INVALID_AUTHORIZATION")])
def test_requests_that_skip_signing_are_a_matter_of_policy(skip: str, expected: str) -> None:
    settings = AuthSettings.model_validate({"keys": "a:b", "skip": skip})
    subject = Authenticator(settings, KeyRing(settings), is_open=False, clock=lambda: NOW)
    assert verdict(subject, request("SKIP")) == expected
    assert verdict(subject, request(_FORGED)) != "OK"


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
        assert verdict(authenticator(hosts="b,c"), request(_GOOD[:-64] + wrong)) == "SIGNATURE_FAILURE"
        assert set(compared) == {(64, 64)}
        counts.add(len(compared))
    assert counts == {2 * len(host_candidates("127.0.0.1:8000", ("b", "c")))}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_cannot_swallow_parameters(method: str) -> None:
    """Version 1 signs one text without escapes: part of the signed parameters, an old timestamp among them, as host."""
    chosen = f"http://pics/?Action=CompareFace&Nonce=1&SecretId={SECRET_ID}&Timestamp={NOW}&UrlA=http://b/"
    signed = v1_parameters(method, Timestamp="1", Nonce="1", UrlA=chosen, without="SignatureMethod")
    text = v1.source_text(method, "127.0.0.1:8000", "/", signed)
    host, _, rest = text.removeprefix(method).rpartition("/?")
    inner = dict(pair.split("=", 1) for pair in rest.split("&"))
    assert text == v1.source_text(method, host, "/", inner)
    forged = v1_request(method, host=host, **inner, Signature=signed["Signature"])
    assert verdict(authenticator(), forged) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("host", ["a/?b=c", "a b", "a?b", "", "[::1", "a:b", "a@b"])
def test_what_is_no_host_is_no_candidate(host: str) -> None:
    assert host_candidates(host, ("b",)) == ("b", "iai.tencentcloudapi.com")


def test_a_name_with_an_underscore_cannot_stand_beside_the_one_with_a_dot() -> None:
    signed = v1_parameters(**{"A.B": "good"})
    assert verdict(authenticator(), v1_request(**{"A_B": "evil", **signed})) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize(("v1_policy", "expected"), [("allow", "OK"), ("refuse", "SIGNATURE_FAILURE")])
def test_the_older_signatures_can_be_turned_away(v1_policy: str, expected: str) -> None:
    settings = AuthSettings.model_validate({"keys": f"{SECRET_ID}:{SECRET_KEY}", "v1": v1_policy})
    subject = Authenticator(settings, KeyRing(settings), is_open=False, clock=lambda: NOW)
    assert verdict(subject, v1_request(**v1_parameters())) == expected
    assert verdict(subject, request(_GOOD)) == "OK"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("none", "OK"),
        ("same-origin", "OK"),
        ("same-site", "UNAUTHORIZED_OPERATION"),
        ("cross-site", "UNAUTHORIZED_OPERATION"),
    ],
)
def test_pages_of_other_sites_may_not_use_open_mode(site: str, expected: str) -> None:
    assert verdict(authenticator(is_open=True), request("", sec_fetch_site=site)) == expected
