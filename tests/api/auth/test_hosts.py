"""The hosts and paths that a client may have signed."""

import time

import pytest

from app.api.auth import v1
from app.api.auth.hosts import VENDOR_HOSTS, signed_locations
from tests.api.auth.signed import BODY, authenticator, outcome, tc3_request, v1_request
from tests.support.fakes import NOW, SECRET_ID, authorization, v1_parameters

_VENDOR_PAIRS = tuple((host, "/") for host in VENDOR_HOSTS)


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
        ("127.0.0.1:8000/iai", "127.0.0.1:8000/iai", "OK"),
        ("127.0.0.1:8000/iai", "127.0.0.1:8000", "OK"),
        ("127.0.0.1:8000/iai", "127.0.0.1", "OK"),
        ("gateway.lan/release/v1.0/iai/", "gateway.lan", "OK"),
        ("http://gateway.lan:80/iai", "gateway.lan:80", "OK"),
        ("[::1]:8000/iai", "[::1]:8000", "OK"),
        ("gateway.lan/release/iai", "iai.tencentcloudapi.com", "OK"),
        ("backend:8000", "faces.example.com", "OK"),
        ("backend:8000", "iai.tencentcloudapi.com", "OK"),
        ("backend:8000", "iai.ap-guangzhou.tencentcloudapi.com", "OK"),
        ("backend:8000", "iai.ap-shanghai-fsi.tencentcloudapi.com", "OK"),
        ("backend:8000", "iai.intl.tencentcloudapi.com", "OK"),
        ("backend:8000", "iai.internal.tencentcloudapi.com", "OK"),
        ("backend:8000", "cvm.tencentcloudapi.com", "SIGNATURE_FAILURE"),
        ("backend:8000", "tencentcloudapi.com", "SIGNATURE_FAILURE"),
        ("backend:8000", "iai.tencentcloudapi.com.example.com", "SIGNATURE_FAILURE"),
        ("backend:8000/iai", "iai", "SIGNATURE_FAILURE"),
        ("backend:8000", "other.example.com", "SIGNATURE_FAILURE"),
        ("backend:8000", "", "SIGNATURE_FAILURE"),
    ],
)
def test_both_signature_versions_accept_every_host_that_clients_sign(sent: str, signed: str, expected: str) -> None:
    subject = authenticator(hosts="faces.example.com, 人脸.example.com")
    assert outcome(subject, tc3_request(authorization(BODY, host=signed), host=sent)) == expected
    assert outcome(subject, v1_request(host=sent, **v1_parameters(host=signed))) == expected


@pytest.mark.parametrize(
    ("sent", "signed", "expected"),
    [
        ("Backend:8000", "backend:8000", "OK"),
        ("Backend:8000", "Backend:8000", "OK"),
        ("backend:8000", "Backend:8000", "SIGNATURE_FAILURE"),
    ],
)
def test_tc3_accepts_the_host_as_sent_and_in_lower_case(sent: str, signed: str, expected: str) -> None:
    assert outcome(authenticator(), tc3_request(authorization(BODY, host=signed), host=sent)) == expected


@pytest.mark.parametrize(
    ("path", "signed_host", "signed_path", "expected"),
    [
        ("/iai", "127.0.0.1:8000", "/", "OK"),
        ("/iai/", "127.0.0.1", "/iai/", "OK"),
        ("/iai", "faces.example.com", "/iai", "OK"),
        ("/release/iai", "iai.tencentcloudapi.com", "/", "OK"),
        ("/iai", "iai.tencentcloudapi.com", "/iai", "SIGNATURE_FAILURE"),
        ("/iai/", "127.0.0.1:8000/iai", "/", "OK"),
        ("/iai", "127.0.0.1:8000", "/other", "SIGNATURE_FAILURE"),
        ("/iai", "127.0.0.1:8000/other", "/", "SIGNATURE_FAILURE"),
        ("/", "127.0.0.1:8000", "/iai", "SIGNATURE_FAILURE"),
    ],
)
def test_both_signature_versions_cover_the_path_or_the_root(
    path: str, signed_host: str, signed_path: str, expected: str
) -> None:
    subject = authenticator(hosts="faces.example.com")
    header = authorization(BODY, host=signed_host, path=signed_path)
    assert outcome(subject, tc3_request(header, path=path)) == expected
    parameters = v1_parameters(host=signed_host, path=signed_path)
    assert outcome(subject, v1_request(path=path, **parameters)) == expected


def test_every_vendor_host_is_a_name_of_the_product() -> None:
    assert len(set(VENDOR_HOSTS)) == len(VENDOR_HOSTS) == 26
    assert all(host.startswith("iai.") and host.endswith(".tencentcloudapi.com") for host in VENDOR_HOSTS[1:])


def test_the_most_likely_location_comes_first() -> None:
    received = (("a:1", "/x"), ("a:1", "/"), ("a", "/x"), ("a", "/"), ("b", "/x"), ("b", "/"), ("a:1/x", "/"))
    assert signed_locations("a:1", "/x", ("b",)) == received + _VENDOR_PAIRS
    assert signed_locations("a", "/", ()) == (("a", "/"), *_VENDOR_PAIRS)


@pytest.mark.parametrize(
    "host",
    [
        "a/?b=c",
        "a b",
        "a?b",
        "a/b?c",
        "a/b c",
        "a/b#c",
        "a/b&c=d",
        "http://",
        "/iai",
        "",
        "[::1",
        "a:b",
        "a@b",
        "a/b\n",
    ],
)
def test_an_invalid_host_yields_no_location(host: str) -> None:
    assert signed_locations(host, "/", ("b",)) == (("b", "/"), *_VENDOR_PAIRS)


@pytest.mark.parametrize("host", ["a" * 60_000 + "?", "a:" + "1" * 60_000 + "?", "a" + "/" * 60_000 + "?"])
def test_a_long_invalid_host_is_rejected_in_linear_time(host: str) -> None:
    start = time.perf_counter()
    signed_locations(host, "/", ())
    assert time.perf_counter() - start < 0.1  # 1 ms; quadratic time would be 10 s


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_cannot_contain_signed_parameters(method: str) -> None:
    """Attack: move the start of a version-1 string to sign, with its old timestamp, into the Host header."""
    inner_url = f"http://pics/?Action=CompareFace&Nonce=1&SecretId={SECRET_ID}&Timestamp={NOW}&UrlA=http://b/"
    signed = v1_parameters(method, Timestamp="1", Nonce="1", UrlA=inner_url, without="SignatureMethod")
    string = v1.string_to_sign(method, "127.0.0.1:8000", "/", v1.sorted_query(signed))
    host, _, rest = string.decode().removeprefix(method).rpartition("/?")
    inner = dict(pair.split("=", 1) for pair in rest.split("&"))
    assert string == v1.string_to_sign(method, host, "/", v1.sorted_query(inner))
    forged = v1_request(method, host=host, **inner, Signature=signed["Signature"])
    assert outcome(authenticator(), forged) == "SIGNATURE_FAILURE"
