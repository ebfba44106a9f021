"""Connections for image downloads: a new one per request, with a limit on the bytes before a response.

httpcore reads interim responses (1xx) without a limit, and parsing a flood of them blocks the event loop. It also
leaves a connection open if its TLS handshake is cancelled.
"""

import ssl
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

_MAX_HEAD_BYTES = 64 * 1024  # the limit of our own server; object stores send 1 KB
_HEAD_READ_SIZE = 16 * 1024
"""Bytes per read before the response; parsing them blocks the event loop for at most 30 ms."""


class ConnectionPool(httpcore.AsyncConnectionPool):
    """A pool without proxies that keeps no connection; it trusts the certificate authorities of ``certifi``."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        # Connections are pooled by address: a kept connection could serve another host without a certificate check.
        super().__init__(
            ssl_context=ssl_context or httpx.create_ssl_context(trust_env=False),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=_Network(),
        )

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        response = await super().handle_async_request(request)
        connection = response.extensions.get("network_stream")
        if isinstance(connection, _LimitedStream):
            connection.head_bytes_left = None
        return response


class _Network(httpcore.AnyIOBackend):
    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _LimitedStream(await super().connect_tcp(*args, **options))


@dataclass(eq=False, slots=True)
class _LimitedStream(httpcore.AsyncNetworkStream):
    """A connection that limits the bytes before the response, and closes if its TLS handshake fails.

    ``head_bytes_left``: None once the head of the response has been read.
    """

    stream: httpcore.AsyncNetworkStream
    head_bytes_left: int | None = _MAX_HEAD_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self.head_bytes_left is None:
            return await self.stream.read(max_bytes, timeout)
        data = await self.stream.read(min(max_bytes, _HEAD_READ_SIZE), timeout)
        self.head_bytes_left -= len(data)
        if self.head_bytes_left < 0:
            raise httpcore.RemoteProtocolError("too many bytes before the response")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        try:
            return _LimitedStream(await self.stream.start_tls(*args, **options))
        except BaseException:
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)
