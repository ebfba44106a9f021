"""The hosts, header values and names that a client may have signed."""

import pytest

from app.api.auth import v1
from app.api.auth.credential import host_candidates
from tests.api.auth.signed import BODY, authenticator, outcome, tc3_request, v1_request
from tests.support.fakes import NOW, SECRET_ID, authorization, v1_parameters


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
def test_tc3_accepts_every_host_that_clients_sign(sent: str, signed: str, expected: str) -> None:
    subject = authenticator(hosts="faces.example.com, 人脸.example.com")
    assert outcome(subject, tc3_request(authorization(BODY, host=signed), host=sent)) == expected


def test_host_candidates_start_with_the_received_host() -> None:
    assert host_candidates("a:1", ("b",)) == ("a:1", "a", "b", "iai.tencentcloudapi.com")


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
def test_v1_accepts_the_same_hosts(sent: str, signed: str, expected: str) -> None:
    assert outcome(authenticator(), v1_request(host=sent, **v1_parameters(host=signed))) == expected


def test_v1_names_may_be_signed_with_dots_instead_of_underscores() -> None:
    signed = v1_parameters(**{"A.B": "1"})
    sent = {name.replace("A.B", "A_B"): value for name, value in signed.items()}
    assert outcome(authenticator(), v1_request(**sent)) == "OK"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_cannot_contain_signed_parameters(method: str) -> None:
    """Attack: move the start of a version-1 string to sign, with its old timestamp, into the Host header."""
    inner_url = f"http://pics/?Action=CompareFace&Nonce=1&SecretId={SECRET_ID}&Timestamp={NOW}&UrlA=http://b/"
    signed = v1_parameters(method, Timestamp="1", Nonce="1", UrlA=inner_url, without="SignatureMethod")
    string = v1.string_to_sign(method, "127.0.0.1:8000", "/", signed)
    host, _, rest = string.removeprefix(method).rpartition("/?")
    inner = dict(pair.split("=", 1) for pair in rest.split("&"))
    assert string == v1.string_to_sign(method, host, "/", inner)
    forged = v1_request(method, host=host, **inner, Signature=signed["Signature"])
    assert outcome(authenticator(), forged) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("host", ["a/?b=c", "a b", "a?b", "", "[::1", "a:b", "a@b"])
def test_an_invalid_host_yields_no_candidate(host: str) -> None:
    assert host_candidates(host, ("b",)) == ("b", "iai.tencentcloudapi.com")


def test_a_request_cannot_have_a_name_both_with_dot_and_with_underscore() -> None:
    signed = v1_parameters(**{"A.B": "good"})
    assert outcome(authenticator(), v1_request(**{"A_B": "evil", **signed})) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("signed", ["compareface", "CompareFace"])
def test_header_values_may_be_signed_in_lower_case_or_as_sent(signed: str) -> None:
    header = authorization(BODY, extra={"x-tc-action": signed})
    assert outcome(authenticator(), tc3_request(header, x_tc_action="CompareFace")) == "OK"
    assert outcome(authenticator(), tc3_request(header, x_tc_action="DetectFace")) == "SIGNATURE_FAILURE"


@pytest.mark.parametrize("service", ["iai", "127", "localhost:8000", "http://127"])
def test_any_service_name_is_accepted(service: str) -> None:
    assert outcome(authenticator(), tc3_request(authorization(BODY, service=service))) == "OK"
