"""TC3-HMAC-SHA256: the vendor's documented vectors, and malformed Authorization headers."""

from dataclasses import dataclass, replace

import pytest

from app.api.auth import tc3

_DOC_BODY = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
_COMPARE_FACE_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'


@dataclass(frozen=True)
class Vector:
    signature: str
    method: str = "POST"
    query: str = ""
    content_type: str = "application/json; charset=utf-8"
    host: str = "cvm.tencentcloudapi.com"
    action: str = ""
    timestamp: int = 1551113065
    body: bytes = _DOC_BODY
    service: str = "cvm"
    secret_key: str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"

    def sign(self) -> str:
        headers = {"content-type": self.content_type, "host": self.host}
        if self.action:
            headers["x-tc-action"] = self.action
        names, date = tuple(headers), tc3.utc_date(self.timestamp)
        hashed = tc3.hashed_payload(tc3.sha256(b"" if self.method == "GET" else self.body))
        canonical = tc3.canonical_request(self.method, self.query, headers, names, hashed)
        string = tc3.string_to_sign(str(self.timestamp), tc3.credential_scope(date, self.service), canonical)
        return tc3.signature(tc3.signing_key(self.secret_key, date, self.service), string)


_COMPARE_FACE = Vector(
    "0665dedf81f89d660fe8501614e26b723e9d7f0827bff69879393bf0c498b1f6",
    content_type="application/json",
    host="127.0.0.1:8000",
    timestamp=1700000000,
    body=_COMPARE_FACE_BODY,
    service="iai",
)
VECTORS = {
    "GET of the documents": Vector(
        "5da7a33f6993f0614b047e5df4582db9e9bf4672ba50567dba16c6ccf174c474",
        method="GET",
        query="Limit=10&Offset=0",
        content_type="application/x-www-form-urlencoded",
        timestamp=1539084154,
        body=b"",
    ),
    "POST of the documents": Vector("72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
    "POST that signs the action": Vector(
        "644be983de9a8a3f00db8eadaba61467c3b429e2215758ba897b738ca469fd26", action="describeinstances"
    ),
    "CompareFace": _COMPARE_FACE,
    "CompareFace as Node signs it": replace(
        _COMPARE_FACE,
        signature="cabe8b0ba99fc1c97d07f0eb8cc2a41d8328f97fc1761ed020f15e43cd4c5a09",
        host="127.0.0.1",
        service="127",
    ),
}
CHANGES: dict[str, dict[str, object]] = {
    "method": {"method": "PUT"},
    "query of a GET": {"method": "GET", "query": "Limit=11"},
    "content type": {"content_type": "text/plain"},
    "host": {"host": "example.com"},
    "action": {"action": "other"},
    "timestamp": {"timestamp": 1551113066},
    "body": {"method": "POST", "body": b"{}"},
    "service": {"service": "cvm2"},
    "key": {"secret_key": "another"},
}


@pytest.mark.parametrize("name", VECTORS)
def test_documented_signatures_are_reproduced(name: str) -> None:
    assert VECTORS[name].sign() == VECTORS[name].signature


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", VECTORS)
def test_every_change_gives_another_signature(name: str, change: str) -> None:
    changed = replace(VECTORS[name], **CHANGES[change])  # type: ignore[arg-type]
    assert changed.sign() != VECTORS[name].signature


def test_the_query_of_a_post_is_not_signed() -> None:
    post = VECTORS["POST of the documents"]
    assert replace(post, query="a=b").sign() == post.signature


def test_the_body_of_a_get_is_not_signed() -> None:
    get = VECTORS["GET of the documents"]
    assert replace(get, body=b"anything").sign() == get.signature


_GOOD = (
    "TC3-HMAC-SHA256 Credential=id/2023-11-14/iai/tc3_request, SignedHeaders=content-type;host, Signature=" + "0" * 64
)


@pytest.mark.parametrize(
    ("value", "service"),
    [
        (_GOOD, "iai"),
        (_GOOD.replace("/iai/", "/localhost:8000/"), "localhost:8000"),
        (_GOOD.replace("/iai/", "/http://127/"), "http://127"),
        (_GOOD.replace(", ", ","), "iai"),
    ],
)
def test_the_service_of_a_header_is_parsed_as_sent(value: str, service: str) -> None:
    authorization = tc3.parse_authorization(value)
    assert authorization is not None
    assert authorization.service == service
    assert authorization.secret_id == "id"
    assert authorization.date == "2023-11-14"
    assert authorization.signed_headers == ("content-type", "host")


def test_formatting_reverses_parsing() -> None:
    authorization = tc3.parse_authorization(_GOOD)
    assert authorization is not None
    assert tc3.format_authorization(authorization) == _GOOD


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SKIP",
        "Bearer x",
        _GOOD.lower(),
        _GOOD.replace("Credential=", "Credential:"),
        _GOOD.replace("id/", "/"),
        _GOOD.replace("/iai/", "/"),
        _GOOD.replace("/tc3_request", ""),
        _GOOD.replace("/tc3_request", "/aws4_request"),
        _GOOD.replace("2023-11-14", "20231114"),
        _GOOD.replace("2023-11-14", "２０２３-11-14"),
        _GOOD.replace("content-type;host", "host"),
        _GOOD.replace("content-type;host", "content-type"),
        _GOOD.replace("content-type;host", "content-type;host;host"),
        _GOOD.replace("content-type;host", "content-type;host;"),
        _GOOD.replace("content-type;host", "Content-Type;Host"),
        _GOOD.replace("content-type;host", "content-type;host;X-TC-Action"),
        _GOOD.replace("content-type;host", "content-type;host" + ";x" * 40),
        _GOOD.replace("0" * 64, "0" * 63),
        _GOOD.replace("0" * 64, "0" * 65),
        _GOOD.replace("0" * 64, "G" * 64),
        _GOOD.replace("0" * 64, "A" * 64),
        _GOOD + "\n",
        _GOOD + ", " + _GOOD,
        _GOOD.replace("id/", "i" * 300 + "/"),
        _GOOD.replace("/iai/", "/" + "i" * 300 + "/"),
        _GOOD.replace(", Signed", ";Signed"),
    ],
)
def test_a_malformed_header_is_not_parsed(value: str) -> None:
    assert tc3.parse_authorization(value) is None


def test_the_date_is_the_utc_date_of_the_timestamp() -> None:
    assert [tc3.utc_date(timestamp) for timestamp in (0, 86399, 86400, 99999999999)] == [
        "1970-01-01",
        "1970-01-01",
        "1970-01-02",
        "5138-11-16",
    ]
