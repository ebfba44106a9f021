"""Misbehaving servers, and fetchers with a replaced network."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import httpcore
import httpx
import pytest

from app.errors import ApiError
from app.imaging.fetch import Fetcher, Resolver
from app.ops.deadline import Deadline
from app.service.errors import api_errors
from app.settings import FetchSettings

Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Responder: TypeAlias = Callable[[httpx.Request], httpx.Response]
PUBLIC = "8.8.8.8"


@asynccontextmanager
async def running_server(handle: Handler) -> AsyncIterator[int]:
    """Run a server on 127.0.0.1 that reads the head of a request and calls ``handle``; yield its port."""
    running: set[asyncio.Task[None]] = set()

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            running.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def sending(*parts: bytes, pause: float = 0.0) -> Handler:
    """Return a handler that sends ``parts`` one by one, then closes."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


def streamed_response(
    data: bytes = b"", status: int = 200, headers: Mapping[str, str] | Mapping[bytes, bytes] | None = None
) -> httpx.Response:
    """Return a response whose body has not been read."""

    async def parts() -> AsyncIterator[bytes]:
        yield data

    return httpx.Response(status, headers=headers, content=parts())


def fixed_resolver(*addresses: str) -> Resolver:
    """Return a resolver that returns ``addresses`` for every host."""

    async def resolver(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolver


class FakePool(httpcore.AsyncConnectionPool):
    """Passes requests to ``respond`` instead of the network."""

    def __init__(self, respond: Responder) -> None:
        super().__init__(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._respond = respond

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        url, origin = request.url, request.url.origin
        host = f"[{origin.host.decode()}]" if b":" in origin.host else origin.host.decode()
        response = self._respond(
            httpx.Request(
                request.method.decode(),
                f"{origin.scheme.decode()}://{host}:{origin.port}{url.target.decode()}",
                headers=request.headers,
                extensions=request.extensions,
            )
        )
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpcore.Response(response.status_code, headers=response.headers.raw, content=response.stream)


def mock_fetcher(
    respond: Responder, resolver: Resolver | None = None, settings: FetchSettings | None = None
) -> Fetcher:
    """Return a fetcher whose requests go to the function ``respond``."""
    return Fetcher(settings or FetchSettings(), resolver=resolver or fixed_resolver(PUBLIC), pool=FakePool(respond))


async def fetch_error(fetcher: Fetcher, url: str, deadline_s: float = 5.0, max_bytes: int = 1000) -> ApiError:
    """Return the error of fetching ``url``, converted like in the service."""
    async with fetcher:
        with pytest.raises(ApiError) as caught, api_errors():
            await fetcher.fetch(url, Deadline.after(deadline_s), max_bytes)
    return caught.value
