"""Servers that misbehave, and the resolvers and clocks to meet them with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import httpx
import pytest

from app.errors import ApiError
from app.imaging.fetch import Fetcher, Resolver
from app.ops.deadline import Deadline
from app.service.errors import api_errors
from app.settings import FetchSettings

Behaviour: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer: TypeAlias = Callable[[httpx.Request], httpx.Response]
PUBLIC = "8.8.8.8"


@asynccontextmanager
async def serving(behave: Behaviour) -> AsyncIterator[int]:
    """A server on 127.0.0.1 that reads a request and then does as ``behave`` says; yields its port."""
    running: set[asyncio.Task[None]] = set()

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            running.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await behave(reader, writer)
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


def saying(*parts: bytes, pause: float = 0.0) -> Behaviour:
    """Send ``parts`` one by one, then close."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def answered(data: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A response that is still to be read, as the network's are."""

    async def parts() -> AsyncIterator[bytes]:
        yield data

    return httpx.Response(status, headers=headers, content=parts())


def resolving(*addresses: str) -> Resolver:
    """Every host has these ``addresses``."""

    async def resolver(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolver


def mocked(answer: Answer, resolver: Resolver | None = None, settings: FetchSettings | None = None) -> Fetcher:
    """A fetcher whose network is the function ``answer``."""
    return Fetcher(
        settings or FetchSettings(),
        resolver=resolver or resolving(PUBLIC),
        transport=httpx.MockTransport(answer),
    )


async def failure(fetcher: Fetcher, url: str, deadline_s: float = 5.0, max_bytes: int = 1000) -> ApiError:
    """Return the error of fetching ``url``, as the service maps it."""
    async with fetcher:
        with pytest.raises(ApiError) as caught, api_errors():
            await fetcher.fetch(url, Deadline.after(deadline_s), max_bytes)
    return caught.value
