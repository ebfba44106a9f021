"""Features of HTTP/1.1 that only some clients use, on a real socket."""

import json
import socket
import time
from urllib.parse import urlencode

import pytest

from tests.support.fakes import authorization, v1_parameters
from tests.support.server import Server

_BODY = b'{"UrlA":"ftp://a","UrlB":"ftp://b"}'  # parsed, then rejected without fetching anything
_CODE = "InvalidParameterValue.UrlIllegal"


def _connect(server: Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=10)


def _head(server: Server, body: bytes = _BODY, **extra: str) -> bytes:
    now = int(time.time())
    headers = {
        "Host": server.endpoint,
        "Content-Type": "application/json",
        "X-TC-Action": "CompareFace",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": str(now),
        "Authorization": authorization(
            body, host=server.endpoint, timestamp=now, secret_id=server.secret_id, secret_key=server.secret_key
        ),
        **{name.replace("_", "-"): value for name, value in extra.items()},
    }
    return (
        b"POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"
    )


def _response(connection: socket.socket) -> tuple[str, str]:
    """Return the status line and the error code of the next response."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head.split(b"\r\n")[0].decode(), json.loads(body)["Response"]["Error"]["Code"]


def test_a_body_may_be_chunked(live_server: Server) -> None:
    with _connect(live_server) as connection:
        connection.sendall(_head(live_server, Transfer_Encoding="chunked"))
        for chunk in (_BODY[:10], _BODY[10:], b""):
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        assert _response(connection) == ("HTTP/1.1 200 OK", _CODE)


def test_expect_100_continue_is_answered_before_the_body(live_server: Server) -> None:
    with _connect(live_server) as connection:
        connection.sendall(_head(live_server, Content_Length=str(len(_BODY)), Expect="100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(_BODY)
        assert _response(connection) == ("HTTP/1.1 200 OK", _CODE)


def test_expect_100_continue_may_be_answered_by_an_error(live_server: Server) -> None:
    with _connect(live_server) as connection:
        connection.sendall(_head(live_server, Content_Length="99999999", Expect="100-continue"))
        assert _response(connection) == ("HTTP/1.1 200 OK", "RequestSizeLimitExceeded")


def test_a_connection_serves_many_requests(live_server: Server) -> None:
    with _connect(live_server) as connection:
        for _ in range(3):
            connection.sendall(_head(live_server, Content_Length=str(len(_BODY))) + _BODY)
            assert _response(connection) == ("HTTP/1.1 200 OK", _CODE)


@pytest.mark.parametrize(("length", "code"), [(31_000, _CODE), (34_000, "RequestSizeLimitExceeded")])
def test_a_request_line_of_34_kb_is_read(live_server: Server, length: int, code: str) -> None:
    values = {"UrlA": "ftp://a?" + "a" * length, "UrlB": "ftp://b", "Timestamp": str(int(time.time()))}
    sent = v1_parameters(
        "GET", host=live_server.endpoint, secret_key=live_server.secret_key, SecretId=live_server.secret_id, **values
    )
    with _connect(live_server) as connection:
        connection.sendall(f"GET /?{urlencode(sent)} HTTP/1.1\r\nHost: {live_server.endpoint}\r\n\r\n".encode())
        assert _response(connection) == ("HTTP/1.1 200 OK", code)


def test_a_form_that_is_too_large_is_rejected_while_it_is_sent(live_server: Server) -> None:
    head = f"POST / HTTP/1.1\r\nHost: {live_server.endpoint}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with _connect(live_server) as connection:
        connection.sendall(f"{head}Content-Length: {5 * 2**20}\r\n\r\n".encode())
        for _ in range(5):
            connection.sendall(b"a" * 2**20)
        assert _response(connection) == ("HTTP/1.1 200 OK", "AuthFailure.SignatureFailure")
        connection.sendall(_head(live_server, Content_Length=str(len(_BODY))) + _BODY)
        assert _response(connection) == ("HTTP/1.1 200 OK", _CODE)


@pytest.mark.parametrize("connection_header", ["Connection: close\r\n", ""])
def test_a_client_that_is_rejected_while_sending_receives_the_response(
    live_server: Server, connection_header: str
) -> None:
    """With ``Connection: close``, the default of Node and nginx, and without it."""
    head = (
        f"POST / HTTP/1.1\r\nHost: {live_server.endpoint}\r\nX-TC-Action: CompareFace\r\nX-TC-Version: 2020-03-03\r\n"
    )
    with _connect(live_server) as connection:
        connection.sendall(f"{head}{connection_header}Content-Length: {5 * 2**20}\r\n\r\n".encode())
        for _ in range(5):
            connection.sendall(b"a" * 2**20)
            time.sleep(0.05)
        assert _response(connection) == ("HTTP/1.1 200 OK", "MissingParameter")


def test_bytes_that_are_not_http_get_status_400(live_server: Server) -> None:
    with _connect(live_server) as connection:
        for _ in range(5):
            connection.sendall(b"a" * 2**18)
            time.sleep(0.05)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_the_content_type_is_exactly_the_one_that_sdks_expect(live_server: Server) -> None:
    with _connect(live_server) as connection:
        connection.sendall(_head(live_server, Content_Length=str(len(_BODY))) + _BODY)
        head = connection.recv(65536).lower()
    assert b"\r\ncontent-type: application/json\r\n" in head
