"""What strangers and odd clients do to the wire, and the exact reply. As a program it prints the table of SECURITY.md.

After the last reply the connection is open, for anybody's next request, or closed.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from tests.contract.exchange import END, Script, chunked, get, head_of, packet, post, raw, slowly

_MIB = 2**20
_GOOD = b'{"UrlA":"ftp://a","UrlB":"ftp://b"}'  # signed and parsed, and then refused without any work
_UNDERSTOOD = "InvalidParameterValue.UrlIllegal"
_BAD = "HTTP 400"
_HOST = b"Host: a\r\n"
_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data; boundary=b"


class Attack(NamedTuple):
    """One row."""

    words: str
    script: Script
    replies: tuple[str, ...]
    stays_open: bool = True

    @property
    def row(self) -> str:
        told = [f"`{reply}`" for reply in dict.fromkeys(self.replies)]
        if not self.stays_open:
            told.append("closed")
        return f"| {self.words} | {', '.join(told)} |"


def _kept(words: str, script: Script, *replies: str) -> Attack:
    return Attack(words, script, replies)


def _closed(words: str, script: Script, *replies: str) -> Attack:
    return Attack(words, script, replies, stays_open=False)


def _json(words: str, body: bytes, reply: str) -> Attack:
    return Attack(words, post(body), (reply,))


def _request(first: bytes, headers: bytes = b"") -> Script:
    return raw(first + b" HTTP/1.1\r\n" + _HOST + headers + b"\r\n")


_JSON = (
    _json("JSON 100,000 arrays deep", b'{"UrlA":' + b"[" * 100_000, "InvalidParameter"),
    _json("JSON 100,000 objects deep", b'{"UrlA":' * 100_000, "InvalidParameter"),
    _json("an array of 100,000 numbers", b'{"UrlA":[' + b"1," * 100_000 + b"1]}", "InvalidParameter"),
    _json("a name twice in JSON: the last counts", b'{"UrlA":"http://a",' + _GOOD[1:], _UNDERSTOOD),
    _json("an integer of 5,000 digits", b'{"QualityControl":' + b"9" * 5000 + b"}", "InvalidParameter"),
    _json("the number 1e400", b'{"QualityControl":1e400}', "InvalidParameter"),
    _json("the number 1.5 for an integer", b'{"QualityControl":1.5}', "InvalidParameter"),
    _json(
        "the integer 2^64", b'{"QualityControl":18446744073709551616}', "InvalidParameterValue.QualityControlIllegal"
    ),
    _json("NaN", b'{"QualityControl":NaN}', "InvalidParameter"),
    _json("-Infinity", b'{"QualityControl":-Infinity}', "InvalidParameter"),
    _json("a lone surrogate, escaped", b'{"UrlA":"\\ud800","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("a lone surrogate, in bytes", b'{"UrlA":"\xed\xa0\x80","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("JSON that is not UTF-8", b'{"UrlA":"\xff","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("overlong UTF-8", b'{"UrlA":"\xc0\xaf","UrlB":"ftp://b"}', "InvalidParameter"),
    _json("a byte order mark before JSON", b"\xef\xbb\xbf" + _GOOD, "InvalidParameter"),
    _json("JSON in UTF-16", _GOOD.decode().encode("utf-16"), "InvalidParameter"),
    _json("a NUL in a value", b'{"UrlA":"\\u0000ftp://a","UrlB":"ftp://b"}', _UNDERSTOOD),
    _json("a raw line break in a value", b'{"UrlA":"a\nb"}', "InvalidParameter"),
    _json("no body", b"", "InvalidParameter"),
    _json("`null`", b"null", "InvalidParameter"),
    _json("a text instead of an object", b'"aaaa"', "InvalidParameter"),
    _json("an array for a text", b'{"UrlA":["ftp://a"]}', "InvalidParameter"),
    _json("a number for a text", b'{"ImageA":1}', "InvalidParameter"),
    _json("a text for a number", b'{"QualityControl":"1"}', "InvalidParameter"),
    _json("true for a number", b'{"QualityControl":true}', "InvalidParameter"),
    _json("null for a value: as if absent", b'{"ImageA":null}', "InvalidParameterValue.ImageEmpty"),
    _json("something after JSON", _GOOD + b"x", "InvalidParameter"),
    _json("a comment in JSON", b"{/* */}", "InvalidParameter"),
    _json("`__proto__`", b'{"__proto__":{}}', "UnknownParameter"),
    _json("a name of 1 MB", b'{"' + b"a" * _MIB + b'":1}', "UnknownParameter"),
    _json("a body of 11 MiB", _GOOD.ljust(11 * _MIB), _UNDERSTOOD),
    _kept("a body of 11 MiB and a byte", post(_GOOD.ljust(11 * _MIB + 1)), "RequestSizeLimitExceeded"),
    _json(
        "5 MiB of base64, no picture",
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
    _kept(
        "a form of 300 parameters",
        post(b"&".join(b"a%d=1" % n for n in range(300)), Content_Type=_FORM),
        "InvalidParameter",
    ),
    _kept(
        "1 MB of `%` in a form",
        post(b"UrlA=" + b"%" * (_MIB - 5), Content_Type=_FORM),
        "InvalidParameterValue.ImageEmpty",
    ),
    _kept("a name twice in a form", post(b"UrlA=a&UrlA=b", Content_Type=_FORM), "InvalidParameter"),
    _kept("multipart without a boundary", post(b"x", Content_Type="multipart/form-data"), "InvalidRequest"),
    _kept(
        "multipart with a boundary of 10,000 letters",
        post(b"x", Content_Type=_PARTS * 1 + "b" * 10_000),
        "InvalidRequest",
    ),
    _kept("multipart of 300 parts", post(b"--b\r\n\r\n" * 300, Content_Type=_PARTS), "InvalidRequest"),
    _kept(
        "multipart that does not end",
        post(b'--b\r\nContent-Disposition: form-data; name="UrlA"\r\n\r\nx', Content_Type=_PARTS),
        "InvalidRequest",
    ),
    _kept(
        "a part with a header of 100,000 letters",
        post(b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n\r\n--b--", Content_Type=_PARTS),
        "InvalidRequest",
    ),
)

_METHODS_AND_PATHS = (
    _kept("`OPTIONS *`", _request(b"OPTIONS *"), "UnsupportedProtocol"),
    _kept(
        "a preflight of another site",
        _request(b"OPTIONS /", b"Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n"),
        "UnsupportedProtocol",
    ),
    _kept("`TRACE`", _request(b"TRACE /"), "UnsupportedProtocol"),
    _kept("a method in lower case", _request(b"get /"), "UnsupportedProtocol"),
    _kept("a method of 1,000 letters", _request(b"A" * 1000 + b" /"), "UnsupportedProtocol"),
    _closed("`CONNECT`: no proxy", _request(b"CONNECT internal:443"), "HTTP 405"),
    _kept("an absolute address: no proxy", _request(b"GET http://internal/healthz"), "MissingParameter"),
    _kept("`/../../etc/passwd`", get("/../../etc/passwd"), "MissingParameter"),
    _kept(
        "`/%00`, `/%2e%2e%2f`, `//`, `/;`, each in one packet",
        packet(get("/%00"), get("/%2e%2e%2f"), get("//"), get("/;")),
        *["MissingParameter"] * 4,
    ),
    _closed("a path that is not ASCII", _request("GET /é".encode()), _BAD),
    _kept("a query of 40,000 letters", get("/?a=" + "a" * 40_000), "RequestSizeLimitExceeded"),
    _kept(
        "a WebSocket",
        get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "MissingParameter",
    ),
    _kept(
        "an upgrade to HTTP/2",
        get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        "MissingParameter",
    ),
)

_HEADS = (
    _closed("HTTP/0.9", raw(b"GET /\r\n\r\n"), _BAD),
    _closed("the preface of HTTP/2", raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "UnsupportedProtocol", _BAD),
    _closed(
        "the greeting of TLS", raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n"), _BAD
    ),
    _closed("100,000 zeros", raw(b"\0" * 100_000), _BAD),
    _closed("HTTP/1.0 without a host", raw(b"GET /healthz HTTP/1.0\r\n\r\n"), "HTTP 200"),
    _closed("HTTP/1.1 without a host", raw(b"GET /healthz HTTP/1.1\r\n\r\n"), _BAD),
    _closed("two hosts", _request(b"GET /healthz", b"Host: b\r\n"), _BAD),
    _closed("a line of 100,000 letters", _request(b"GET /" + b"a" * 100_000), _BAD),
    _closed("10,000 headers", _request(b"GET /healthz", b"a: 1234\r\n" * 10_000), _BAD),
    _closed("a space before a header's colon", _request(b"GET /healthz", b"X : a\r\n"), _BAD),
    _closed("a NUL in a header", _request(b"GET /healthz", b"X: \0\r\n"), _BAD),
    _closed("a header without a name", _request(b"GET /healthz", b": x\r\n"), _BAD),
    _kept("a folded header", _request(b"GET /healthz", b"X: a\r\n b\r\n"), "HTTP 200"),
    _kept("lines that end in LF only", raw(b"GET /healthz HTTP/1.1\nHost: a\n\n"), "HTTP 200"),
    _kept("two `X-TC-Action`", post(_GOOD, X_TC_Action="CompareFace\r\nX-TC-Action: CompareFace"), "InvalidAction"),
    _kept(
        "two `Authorization`",
        post(_GOOD, Authorization="SKIP\r\nAuthorization: SKIP"),
        "AuthFailure.InvalidAuthorization",
    ),
    _kept(
        "`Authorization` of 50,000 letters",
        post(_GOOD, Authorization="TC3-HMAC-SHA256 Credential=" + "a" * 50_000),
        "AuthFailure.InvalidAuthorization",
    ),
    _kept("a timestamp of 1,000 digits", post(_GOOD, X_TC_Timestamp="9" * 1000), "InvalidParameter"),
    _kept("a negative timestamp", post(_GOOD, X_TC_Timestamp="-1"), "InvalidParameter"),
    _kept("a timestamp of superscripts", post(_GOOD, X_TC_Timestamp="\u00b2\u00b3"), "InvalidParameter"),
    _kept("a host that is none", post(_GOOD, Host="a?b=c#d"), "AuthFailure.SignatureFailure"),
    _kept("an action beyond ASCII", post(_GOOD, X_TC_Action="Compare\u00e9"), "InvalidAction"),
)

_BODIES = (
    _closed("`Content-Length` and `Transfer-Encoding`", chunked([_GOOD], Content_Length="35"), _BAD),
    _closed("two lengths that differ", post(_GOOD, Content_Length="35\r\nContent-Length: 36"), _BAD),
    _kept("two lengths that agree", post(_GOOD, Content_Length="35\r\nContent-Length: 35"), _UNDERSTOOD),
    _closed("the length -1", post(_GOOD, Content_Length="-1"), _BAD),
    _closed("the length `+35`", post(_GOOD, Content_Length="+35"), _BAD),
    _closed("the length `0x23`", post(_GOOD, Content_Length="0x23"), _BAD),
    _closed("a length of 5,000 digits", post(_GOOD, Content_Length="9" * 5000), _BAD),
    _closed("`Transfer-Encoding: gzip, chunked`", chunked([_GOOD], Transfer_Encoding="gzip, chunked"), _BAD),
    _closed("`Transfer-Encoding: xchunked`", chunked([_GOOD], Transfer_Encoding="xchunked"), _BAD),
    _kept("chunks of one byte", chunked([bytes([byte]) for byte in _GOOD]), _UNDERSTOOD),
    _kept("chunks with extensions", chunked([_GOOD], extension=b";a=b;c"), _UNDERSTOOD),
    _kept("trailers: no headers", chunked([_GOOD], then=b"0\r\nX-TC-Action: Other\r\n\r\n"), _UNDERSTOOD),
    _closed("a chunk extension of 1 MB", chunked([_GOOD], extension=b";" + b"a" * _MIB), _BAD),
    _closed("a chunk size that is no number", chunked([], then=b"zz\r\n"), _BAD),
    _closed("a chunk size of 100 bits", chunked([], then=b"f" * 25 + b"\r\n"), _BAD),
    _closed("a chunk longer than it says", chunked([], then=b"2\r\n{}x\r\n"), _BAD),
    _closed(
        "nonsense after a refusal",
        lambda server: [*chunked([], then=b"", X_TC_Action="x")(server), 0.5, b"zz\r\n"],
        "InvalidAction",
    ),
    _kept("a compressed body", post(_GOOD, Content_Encoding="gzip"), "InvalidParameter"),
    _closed("a body longer than it says", packet(post(_GOOD), raw(b"more\r\n\r\n")), _UNDERSTOOD, _BAD),
    _kept("ten requests in one packet", packet(*[post(_GOOD)] * 10), *[_UNDERSTOOD] * 10),
    _closed(
        "a second request in a body, beyond its length",
        packet(post(_GOOD), raw(b"GET /healthz HTTP/1.1\r\n\r\n")),
        _UNDERSTOOD,
        _BAD,
    ),
)

_TIME = (
    _closed("nothing is sent", raw()),
    _closed(
        "a head that comes byte by byte",
        raw(*[piece for byte in b"GET /healthz HTTP" for piece in (bytes([byte]), 0.2)]),
    ),
    _closed("a head that stops half-way", raw(b"GET /healthz HTTP/1.1\r\nHost:")),
    _kept("a body that comes in time, in pieces", slowly(_GOOD, 5, 0.2), _UNDERSTOOD),
    _closed(
        "a body that stops half-way",
        lambda server: [head_of(server, _GOOD, {}), _GOOD[:10]],
        "FailedOperation.RequestTimeout",
    ),
    _kept("a body that comes byte by byte", slowly(_GOOD, 35, 0.25), "FailedOperation.RequestTimeout"),
    _closed("half a head, then the sender's end", raw(b"GET /healthz HTTP/1.1\r\n", END)),
    _closed("half a body, then the sender's end", lambda server: [head_of(server, _GOOD, {}), b"{", END]),
)

ATTACKS = (*_JSON, *_FORMS, *_METHODS_AND_PATHS, *_HEADS, *_BODIES, *_TIME)


def main() -> None:
    sys.stdout.writelines(f"{attack.row}\n" for attack in ATTACKS)


if __name__ == "__main__":
    main()
