"""Malformed and hostile requests, the exact response to each, and whether the connection then stays open.

``python -m tests.contract.attacks`` prints them as a table.
"""

import sys
from typing import NamedTuple

from tests.contract.exchange import END, Script, chunked, get, packet, post, raw, request_head, slowly

_MIB = 2**20
_VALID = b'{"UrlA":"ftp://a","UrlB":"ftp://b"}'  # parsed, then rejected without fetching anything
_PARSED = "InvalidParameterValue.UrlIllegal"
_BAD_REQUEST = "HTTP 400"
_HOST = b"Host: a\r\n"
_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data; boundary=b"


class Attack(NamedTuple):
    """One row of the table."""

    description: str
    script: Script
    responses: tuple[str, ...]
    stays_open: bool = True

    @property
    def row(self) -> str:
        outcomes = [f"`{response}`" for response in dict.fromkeys(self.responses)]
        if not self.stays_open:
            outcomes.append("closed")
        return f"| {self.description} | {', '.join(outcomes)} |"


def _open(description: str, script: Script, *responses: str) -> Attack:
    return Attack(description, script, responses)


def _closed(description: str, script: Script, *responses: str) -> Attack:
    return Attack(description, script, responses, stays_open=False)


def _json(description: str, body: bytes, response: str) -> Attack:
    return Attack(description, post(body), (response,))


def _request(request_line: bytes, headers: bytes = b"") -> Script:
    return raw(request_line + b" HTTP/1.1\r\n" + _HOST + headers + b"\r\n")


_JSON = (
    _json("JSON 100,000 arrays deep", b'{"UrlA":' + b"[" * 100_000, "InvalidParameter"),
    _json("JSON 100,000 objects deep", b'{"UrlA":' * 100_000, "InvalidParameter"),
    _json("an array of 100,000 numbers", b'{"UrlA":[' + b"1," * 100_000 + b"1]}", "InvalidParameter"),
    _json("a name given twice in JSON: the last value counts", b'{"UrlA":"http://a",' + _VALID[1:], _PARSED),
    _json("an integer of 5,000 digits", b'{"QualityControl":' + b"9" * 5000 + b"}", "InvalidParameter"),
    _json("the number 1e400", b'{"QualityControl":1e400}', "InvalidParameter"),
    _json("the number 1.5 instead of an integer", b'{"QualityControl":1.5}', "InvalidParameter"),
    _json(
        "the integer 2^64", b'{"QualityControl":18446744073709551616}', "InvalidParameterValue.QualityControlIllegal"
    ),
    _json("NaN", b'{"QualityControl":NaN}', "InvalidParameter"),
    _json("-Infinity", b'{"QualityControl":-Infinity}', "InvalidParameter"),
    _json("an unpaired surrogate, escaped", b'{"UrlA":"\\ud800","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("an unpaired surrogate, in bytes", b'{"UrlA":"\xed\xa0\x80","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("JSON that is not UTF-8", b'{"UrlA":"\xff","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("overlong UTF-8", b'{"UrlA":"\xc0\xaf","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("a byte order mark before JSON", b"\xef\xbb\xbf" + _VALID, "InvalidParameter"),
    _json("JSON in UTF-16", _VALID.decode().encode("utf-16"), "InvalidParameter"),
    _json("a NUL in a value", b'{"UrlA":"\\u0000ftp://a","UrlB":"ftp://b"}', _PARSED),
    _json("a raw line break in a value", b'{"UrlA":"a\nb"}', "InvalidParameter"),
    _json("no body", b"", "InvalidParameter"),
    _json("`null`", b"null", "InvalidParameter"),
    _json("a string instead of an object", b'"aaaa"', "InvalidParameter"),
    _json("an array instead of a string", b'{"UrlA":["ftp://a"]}', "InvalidParameter"),
    _json("a number instead of a string", b'{"ImageA":1}', "InvalidParameter"),
    _json("a string instead of a number", b'{"QualityControl":"1"}', "InvalidParameter"),
    _json("true instead of a number", b'{"QualityControl":true}', "InvalidParameter"),
    _json("null for a value, which counts as missing", b'{"ImageA":null}', "InvalidParameterValue.ImageEmpty"),
    _json("bytes after JSON", _VALID + b"x", "InvalidParameter"),
    _json("a comment in JSON", b"{/* */}", "InvalidParameter"),
    _json("`__proto__`", b'{"__proto__":{}}', "UnknownParameter"),
    _json("a name of 1 MB", b'{"' + b"a" * _MIB + b'":1}', "UnknownParameter"),
    _json("a body of 11 MiB", _VALID.ljust(11 * _MIB), _PARSED),
    _open("a body of 11 MiB and a byte", post(_VALID.ljust(11 * _MIB + 1)), "RequestSizeLimitExceeded"),
    _json(
        "5 MiB of base64 that is not an image",
        b'{"ImageA":"%s","UrlB":"ftp://b"}' % (b"A" * 5 * _MIB),
        "FailedOperation.ImageDecodeFailed",
    ),
    _json(
        "base64 of 5 MiB and a byte",
        b'{"ImageA":"%s","UrlB":"ftp://b"}' % (b"A" * (5 * _MIB + 1)),
        "FailedOperation.ImageSizeExceed",
    ),
)

_FORMS = (
    _open(
        "a form of 300 parameters",
        post(b"&".join(b"a%d=1" % n for n in range(300)), Content_Type=_FORM),
        "InvalidParameter",
    ),
    _open(
        "1 MB of `%` in a form",
        post(b"UrlA=" + b"%" * (_MIB - 5), Content_Type=_FORM),
        "InvalidParameterValue.ImageEmpty",
    ),
    _open("a name given twice in a form", post(b"UrlA=a&UrlA=b", Content_Type=_FORM), "InvalidParameter"),
    _open("multipart without a boundary", post(b"x", Content_Type="multipart/form-data"), "InvalidRequest"),
    _open(
        "multipart with a boundary of 10,000 letters",
        post(b"x", Content_Type=_PARTS + "b" * 10_000),
        "InvalidRequest",
    ),
    _open("multipart of 300 parts", post(b"--b\r\n\r\n" * 300, Content_Type=_PARTS), "InvalidRequest"),
    _open(
        "multipart that does not end",
        post(b'--b\r\nContent-Disposition: form-data; name="UrlA"\r\n\r\nx', Content_Type=_PARTS),
        "InvalidRequest",
    ),
    _open(
        "a part with a header of 100,000 letters",
        post(b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n\r\n--b--", Content_Type=_PARTS),
        "InvalidRequest",
    ),
)

_METHODS_AND_PATHS = (
    _open("`OPTIONS *`", _request(b"OPTIONS *"), "UnsupportedProtocol"),
    _open(
        "a CORS preflight of another site",
        _request(b"OPTIONS /", b"Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n"),
        "UnsupportedProtocol",
    ),
    _open("`TRACE`", _request(b"TRACE /"), "UnsupportedProtocol"),
    _open("a method in lower case", _request(b"get /"), "UnsupportedProtocol"),
    _open("a method of 1,000 letters", _request(b"A" * 1000 + b" /"), "UnsupportedProtocol"),
    _open("`CONNECT`, as to a proxy", _request(b"CONNECT internal:443"), "HTTP 405"),
    _open("an absolute URL, as to a proxy", _request(b"GET http://internal/healthz"), "HTTP 404"),
    _open("`/../../etc/passwd`", get("/../../etc/passwd"), "HTTP 404"),
    _open(
        "`/%00`, `/%2e%2e%2f`, `//`, `/;`, each in one packet",
        packet(get("/%00"), get("/%2e%2e%2f"), get("//"), get("/;")),
        *["HTTP 404"] * 4,
    ),
    _closed("a path that is not ASCII", _request("GET /é".encode()), _BAD_REQUEST),
    _open("a query of 40,000 letters", get("/?Action=" + "a" * 40_000), "RequestSizeLimitExceeded"),
    _open(
        "a WebSocket handshake",
        get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "HTTP 200",
    ),
    _open(
        "an upgrade to HTTP/2",
        get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        "HTTP 200",
    ),
)

_HEADS = (
    _closed("HTTP/0.9", raw(b"GET /\r\n\r\n"), _BAD_REQUEST),
    _closed("the preface of HTTP/2", raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "UnsupportedProtocol", _BAD_REQUEST),
    _closed(
        "a TLS handshake",
        raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n"),
        _BAD_REQUEST,
    ),
    _closed("100,000 zeros", raw(b"\0" * 100_000), _BAD_REQUEST),
    _closed("HTTP/1.0 without a host", raw(b"GET /healthz HTTP/1.0\r\n\r\n"), "HTTP 200"),
    _closed("HTTP/1.1 without a host", raw(b"GET /healthz HTTP/1.1\r\n\r\n"), _BAD_REQUEST),
    _closed("two hosts", _request(b"GET /healthz", b"Host: b\r\n"), _BAD_REQUEST),
    _closed("a line of 100,000 letters", _request(b"GET /" + b"a" * 100_000), _BAD_REQUEST),
    _closed("10,000 headers", _request(b"GET /healthz", b"a: 1234\r\n" * 10_000), _BAD_REQUEST),
    _closed("a space before a header's colon", _request(b"GET /healthz", b"X : a\r\n"), _BAD_REQUEST),
    _closed("a NUL in a header", _request(b"GET /healthz", b"X: \0\r\n"), _BAD_REQUEST),
    _closed("a header without a name", _request(b"GET /healthz", b": x\r\n"), _BAD_REQUEST),
    _open("a folded header", _request(b"GET /healthz", b"X: a\r\n b\r\n"), "HTTP 200"),
    _open("lines that end with LF only", raw(b"GET /healthz HTTP/1.1\nHost: a\n\n"), "HTTP 200"),
    _open("two `X-TC-Action`", post(_VALID, X_TC_Action="CompareFace\r\nX-TC-Action: CompareFace"), "InvalidAction"),
    _open(
        "two `Authorization`",
        post(_VALID, Authorization="SKIP\r\nAuthorization: SKIP"),
        "AuthFailure.InvalidAuthorization",
    ),
    _open(
        "`Authorization` of 50,000 letters",
        post(_VALID, Authorization="TC3-HMAC-SHA256 Credential=" + "a" * 50_000),
        "AuthFailure.InvalidAuthorization",
    ),
    _open("a timestamp of 1,000 digits", post(_VALID, X_TC_Timestamp="9" * 1000), "InvalidParameter"),
    _open("a negative timestamp", post(_VALID, X_TC_Timestamp="-1"), "InvalidParameter"),
    _open("a timestamp of superscripts", post(_VALID, X_TC_Timestamp="\u00b2\u00b3"), "InvalidParameter"),
    _open("an invalid `Host`", post(_VALID, Host="a?b=c#d"), "AuthFailure.SignatureFailure"),
    _open("an action that is not ASCII", post(_VALID, X_TC_Action="Compare\u00e9"), "InvalidAction"),
)

_BODIES = (
    _closed("`Content-Length` and `Transfer-Encoding`", chunked([_VALID], Content_Length="35"), _BAD_REQUEST),
    _closed("two different lengths", post(_VALID, Content_Length="35\r\nContent-Length: 36"), _BAD_REQUEST),
    _open("two equal lengths", post(_VALID, Content_Length="35\r\nContent-Length: 35"), _PARSED),
    _closed("the length -1", post(_VALID, Content_Length="-1"), _BAD_REQUEST),
    _closed("the length `+35`", post(_VALID, Content_Length="+35"), _BAD_REQUEST),
    _closed("the length `0x23`", post(_VALID, Content_Length="0x23"), _BAD_REQUEST),
    _closed("a length of 5,000 digits", post(_VALID, Content_Length="9" * 5000), _BAD_REQUEST),
    _closed("`Transfer-Encoding: gzip, chunked`", chunked([_VALID], Transfer_Encoding="gzip, chunked"), _BAD_REQUEST),
    _closed("`Transfer-Encoding: xchunked`", chunked([_VALID], Transfer_Encoding="xchunked"), _BAD_REQUEST),
    _open("chunks of one byte", chunked([bytes([byte]) for byte in _VALID]), _PARSED),
    _open("chunks with extensions", chunked([_VALID], extension=b";a=b;c"), _PARSED),
    _open("trailers, which the server ignores", chunked([_VALID], end=b"0\r\nX-TC-Action: Other\r\n\r\n"), _PARSED),
    _closed("a chunk extension of 1 MB", chunked([_VALID], extension=b";" + b"a" * _MIB), _BAD_REQUEST),
    _closed("a chunk size that is not a number", chunked([], end=b"zz\r\n"), _BAD_REQUEST),
    _closed("a chunk size of 100 bits", chunked([], end=b"f" * 25 + b"\r\n"), _BAD_REQUEST),
    _closed("a chunk longer than its size", chunked([], end=b"2\r\n{}x\r\n"), _BAD_REQUEST),
    _closed(
        "an invalid chunk after an error response",
        lambda server: [*chunked([], end=b"", X_TC_Action="x")(server), 0.5, b"zz\r\n"],
        "InvalidAction",
    ),
    _open("a compressed body", post(_VALID, Content_Encoding="gzip"), "InvalidParameter"),
    _closed(
        "a body longer than its `Content-Length`", packet(post(_VALID), raw(b"more\r\n\r\n")), _PARSED, _BAD_REQUEST
    ),
    _open("ten requests in one packet", packet(*[post(_VALID)] * 10), *[_PARSED] * 10),
    _closed(
        "a second request in a body, beyond its length",
        packet(post(_VALID), raw(b"GET /healthz HTTP/1.1\r\n\r\n")),
        _PARSED,
        _BAD_REQUEST,
    ),
)

_TIME = (
    _closed("no bytes at all", raw()),
    _closed(
        "a head that arrives byte by byte",
        raw(*[piece for byte in b"GET /healthz HTTP" for piece in (bytes([byte]), 0.2)]),
    ),
    _closed("half a head", raw(b"GET /healthz HTTP/1.1\r\nHost:")),
    _open("a body that arrives in pieces, in time", slowly(_VALID, 5, 0.2), _PARSED),
    _closed(
        "half a body",
        lambda server: [request_head(server, _VALID, {}), _VALID[:10]],
        "FailedOperation.RequestTimeout",
    ),
    _open("a body that arrives byte by byte", slowly(_VALID, 35, 0.2), "FailedOperation.RequestTimeout"),
    _closed("half a head, then the end of the sending half", raw(b"GET /healthz HTTP/1.1\r\n", END)),
    _closed(
        "half a body, then the end of the sending half", lambda server: [request_head(server, _VALID, {}), b"{", END]
    ),
)

ATTACKS = (*_JSON, *_FORMS, *_METHODS_AND_PATHS, *_HEADS, *_BODIES, *_TIME)


def main() -> None:
    sys.stdout.writelines(f"{attack.row}\n" for attack in ATTACKS)


if __name__ == "__main__":
    main()
