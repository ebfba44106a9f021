"""Requests on a raw socket that no HTTP client would send, and the server's responses.

A *script* returns the steps for a server, because signatures depend on its key. A step is bytes to send, seconds to
wait, or :data:`END`, which closes the sending half. A response is identified by its error code, "OK", or
``HTTP <status>``.
"""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Self, TypeAlias

from tests.support.fakes import authorization
from tests.support.server import Server

END = None
Step: TypeAlias = bytes | float | None
Script: TypeAlias = Callable[[Server], Iterable[Step]]

_TIMEOUT_S = 20.0
_PROBE = b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n"
_REQUIRED_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-type": "application/json",
}


def raw(*steps: Step) -> Script:
    return lambda _: steps


def get(target: str, *headers: str) -> Script:
    lines = "".join(f"{line}\r\n" for line in ("Host: a", *headers))
    return raw(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))


def post(body: bytes, **changes: str) -> Script:
    """Return a signed request. ``X_TC_Action="..."`` replaces a header and may contain line breaks; "" removes it."""
    return lambda server: [request_head(server, body, changes) + body]


def slowly(body: bytes, pieces: int, pause_s: float, **changes: str) -> Script:
    """Return a signed request whose body is sent in pieces, with a pause before each."""
    size = -(-len(body) // pieces)

    def script(server: Server) -> Iterable[Step]:
        yield request_head(server, body, changes)
        for start in range(0, len(body), size):
            yield pause_s
            yield body[start : start + size]

    return script


def chunked(chunks: Iterable[bytes], *, extension: bytes = b"", end: bytes = b"0\r\n\r\n", **changes: str) -> Script:
    """Return a signed request with a chunked body; ``end`` replaces the last chunk."""

    def script(server: Server) -> Iterable[bytes]:
        pieces = list(chunks)
        headers = {"Transfer_Encoding": "chunked", "Content_Length": "", **changes}
        encoded = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in pieces)
        return [request_head(server, b"".join(pieces), headers) + encoded + end]

    return script


def packet(*scripts: Script) -> Script:
    """Return a script that sends the bytes of all ``scripts`` at once."""
    return lambda server: [b"".join(step for script in scripts for step in script(server) if isinstance(step, bytes))]


def request_head(server: Server, body: bytes, changes: Mapping[str, str]) -> bytes:
    now = int(time.time())
    content_type = changes.get("Content_Type", "application/json")
    signed = authorization(
        body,
        host=server.endpoint,
        timestamp=now,
        content_type=content_type,
        secret_id=server.secret_id,
        secret_key=server.secret_key,
    )
    headers = {
        "Host": server.endpoint,
        "Content_Type": content_type,
        "Content_Length": str(len(body)),
        "X_TC_Action": "CompareFace",
        "X_TC_Version": "2020-03-03",
        "X_TC_Timestamp": str(now),
        "Authorization": signed,
        **changes,
    }
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items() if value)
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


class Exchange:
    """One connection and its responses."""

    def __init__(self, server: Server) -> None:
        self._socket = self._plain = socket.create_connection((server.host, server.port), timeout=_TIMEOUT_S)
        if server.tls:
            self._plain = self._socket.dup()  # an SSLSocket has no half-close
            self._socket = server.tls.wrap_socket(self._socket, server_hostname=server.host)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._plain.close()

    def play(self, steps: Iterable[Step]) -> None:
        """Run the steps; stop if the server closes the connection, because it may have responded already."""
        with suppress(ConnectionError, ssl.SSLError):
            for step in steps:
                if isinstance(step, bytes):
                    self._socket.sendall(step)
                elif step is END:
                    self._plain.shutdown(socket.SHUT_WR)
                else:
                    time.sleep(step)

    def response(self) -> str:
        """Return the error code, "OK" or ``HTTP <status>`` of the next response; "" if the connection is closed."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                return ""
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = first.split()[1]
        if status == "100":
            return self.response()
        return _identifier(status, headers, self._body(headers))

    def _body(self, headers: Mapping[str, str]) -> bytes:
        length = headers.get("content-length")
        while (length is None or len(self._received) < int(length)) and self._receive():
            pass
        size = len(self._received) if length is None else int(length)
        body, self._received = self._received[:size], self._received[size:]
        return body

    def _receive(self) -> bool:
        """Wait for more bytes; return whether any arrived before the connection was closed."""
        try:
            received = self._socket.recv(65536)
        except ConnectionError:
            received = b""
        self._received += received
        return bool(received)

    def is_open(self) -> bool:
        """Return whether the server answers another request on this connection."""
        self.play([_PROBE])
        return self.response() == "HTTP 200"


def _identifier(status: str, headers: Mapping[str, str], body: bytes) -> str:
    """Check the headers that every response must have, and return its error code, "OK" or ``HTTP <status>``."""
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]
    if status != "200" or not body.startswith(b'{"Response":'):
        return f"HTTP {status}"
    assert {name: headers.get(name) for name in _REQUIRED_HEADERS} == _REQUIRED_HEADERS
    return str(json.loads(body)["Response"].get("Error", {}).get("Code", "OK"))
