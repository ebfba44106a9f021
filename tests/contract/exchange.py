"""Bytes to a live server and its replies back, on a socket: what no HTTP client would send.

A *script* makes the pieces to send for a given server, since signatures depend on its key: bytes, seconds to wait, or
:data:`END`, which closes the sending half. A reply is the code of the envelope, "OK", or ``HTTP <status>``.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeAlias

from tests.support.fakes import authorization
from tests.support.server import Server

END = None
Script: TypeAlias = Callable[[Server], Iterable[bytes | float | None]]

_PATIENCE_S = 20.0
_PROBE = b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n"
_SAFE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "content-type": "application/json"}


def raw(*pieces: bytes | float | None) -> Script:
    return lambda _: pieces


def get(target: str, *headers: str) -> Script:
    lines = "".join(f"{line}\r\n" for line in ("Host: a", *headers))
    return raw(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))


def post(body: bytes, **changes: str) -> Script:
    """A signed request; ``X_TC_Action="..."`` changes a header, which may be several lines. "" leaves it out."""
    return lambda server: [head_of(server, body, changes) + body]


def slowly(body: bytes, pieces: int, pause_s: float, **changes: str) -> Script:
    """A signed request whose body comes in pieces."""
    size = -(-len(body) // pieces)

    def script(server: Server) -> Iterable[bytes | float | None]:
        yield head_of(server, body, changes)
        for at in range(0, len(body), size):
            yield pause_s
            yield body[at : at + size]

    return script


def chunked(chunks: Iterable[bytes], *, extension: bytes = b"", then: bytes = b"0\r\n\r\n", **changes: str) -> Script:
    """A signed request whose body comes in chunks; ``then`` stands where the last chunk does."""

    def script(server: Server) -> Iterable[bytes]:
        pieces = list(chunks)
        headers = {"Transfer_Encoding": "chunked", "Content_Length": "", **changes}
        coded = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in pieces)
        return [head_of(server, b"".join(pieces), headers) + coded + then]

    return script


def packet(*scripts: Script) -> Script:
    """All at once."""
    return lambda server: [
        b"".join(piece for script in scripts for piece in script(server) if isinstance(piece, bytes))
    ]


def head_of(server: Server, body: bytes, changes: Mapping[str, str]) -> bytes:
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
    """One connection and what comes back on it."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=_PATIENCE_S)
        self._received = b""

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def play(self, pieces: Iterable[bytes | float | None]) -> None:
        """Send; who is cut off stops sending, as the reply may have come already."""
        with suppress(ConnectionError):
            for piece in pieces:
                if isinstance(piece, bytes):
                    self._socket.sendall(piece)
                elif piece is END:
                    self._socket.shutdown(socket.SHUT_WR)
                else:
                    time.sleep(piece)

    def reply(self) -> str:
        """Return the next reply; "" when the connection is closed instead."""
        while b"\r\n\r\n" not in self._received:
            if not self._more():
                return ""
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = first.split()[1]
        if status == "100":
            return self.reply()
        return _name(status, headers, self._body(headers))

    def _body(self, headers: Mapping[str, str]) -> bytes:
        length = headers.get("content-length")
        while (length is None or len(self._received) < int(length)) and self._more():
            pass
        size = len(self._received) if length is None else int(length)
        body, self._received = self._received[:size], self._received[size:]
        return body

    def _more(self) -> bool:
        try:
            received = self._socket.recv(65536)
        except ConnectionError:
            received = b""
        self._received += received
        return bool(received)

    def is_open(self) -> bool:
        """Whether the next request is answered."""
        self.play([_PROBE])
        return self.reply() == "HTTP 200"


def _name(status: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the reply's name, after looking at what every reply has."""
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]
    if status != "200" or not body.startswith(b'{"Response":'):
        return f"HTTP {status}"
    assert {name: headers.get(name) for name in _SAFE} == _SAFE
    return str(json.loads(body)["Response"].get("Error", {}).get("Code", "OK"))
