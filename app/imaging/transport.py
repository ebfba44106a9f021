"""How the fetcher talks to the far side: HTTP/1.1 on a connection of its own, which ends when we say so.

httpcore leaves two things to others. It reads interim answers (1xx) as long as they come, and parsing a flood of them
holds up everybody on the event loop; and it forgets a connection whose TLS handshake is cancelled, so that a server
which never finishes one keeps it open. Here the bytes before the answer are counted, and such connections closed.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

_MAX_HEAD_BYTES = 64 * 1024  # what our own server takes; object stores send 1 KB
_AT_ONCE = 16 * 1024
"""Bytes parsed before others on the event loop have their turn: of the shortest interim answers 600, in 30 ms."""


class Transport(httpx.AsyncHTTPTransport):
    """httpx's own, with connections of ours."""

    def __init__(self, trusted: ssl.SSLContext | None = None) -> None:
        """``trusted``: whose certificates count, those of the package ``certifi`` otherwise."""
        trusted = trusted or httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=trusted, trust_env=False)
        # A kept connection is known by its address; it would serve another name without a look at the certificate.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted, max_connections=None, max_keepalive_connections=0, network_backend=_Network()
        )


def expect_body(response: httpx.Response) -> None:
    """Say that the head of the answer is there: from here on the reader counts what comes."""
    stream = response.extensions.get("network_stream")
    if isinstance(stream, _Stream):
        stream.head_left = None


class _Network(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self.head_left: int | None = _MAX_HEAD_BYTES
        """Bytes that may still come before the answer's body; None: it has come."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, _AT_ONCE) if self.head_left is not None else max_bytes, timeout)
        if self.head_left is not None:
            self.head_left -= len(data)
            if self.head_left < 0:
                raise httpcore.RemoteProtocolError("too much before the answer")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
