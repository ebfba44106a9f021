"""A server in the process of the test, and raw client connections to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, nullcontext, suppress
from typing import Any

from app.asgi import create_app, create_health_app
from app.domain import CompareOptions, Comparison, ImageRef
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.server.certificate import Certificate
from app.server.config import bind, protocol_factory, uvicorn_config
from app.server.connection import ConnectionGroup, ConnectionLimits
from app.server.server import Server
from tests.support.fakes import OPEN, Behaviour, FakeEngine, FakeService, fixed_comparison
from tests.support.tls import TlsFiles

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nX-TC-Action: CompareFace\r\nX-TC-Version: 2020-03-03\r\n"
BODY = b'{"UrlA":"a","UrlB":"b"}'
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
SHORT_LIMITS = ConnectionLimits(max_connections=3, header_timeout_s=0.3, keep_alive_s=0.3, deadline_s=0.4)
LONG_LIMITS = ConnectionLimits(max_connections=3, header_timeout_s=60, keep_alive_s=60, deadline_s=60)

tls_files: TlsFiles | None = None
"""The certificate of the servers; the fixture ``scheme`` sets it."""


class Client:
    """One raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def response_head(self) -> bytes:
        """Return the head of the next response and skip its body; empty if the connection is closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return head

    async def response_body(self) -> bytes:
        """Return the body of the next response."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        return await self._reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))

    async def status_line(self) -> bytes:
        """Return the first line of the next response."""
        return await self._reader.readline()

    async def remaining_bytes(self) -> bytes:
        """Return all bytes until the server closes the connection."""
        return await self._reader.read()

    def close(self) -> None:
        self._writer.close()

    async def wait_closed(self) -> None:
        with suppress(OSError):
            await self._writer.wait_closed()

    def close_sending_half(self) -> None:
        self._writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def is_closed(self, within_s: float = 0.1) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


class LocalServer:
    """A running server and its clients."""

    def __init__(self, server: Server, port: int, health_port: int) -> None:
        self.server, self.port, self.health_port = server, port, health_port
        self.clients: list[Client] = []

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)

    async def connect(self) -> Client:
        context = tls_files.client_context if tls_files else None
        return self._added(await asyncio.open_connection("127.0.0.1", self.port, ssl=context))

    async def answered_client(self) -> Client:
        """Return a client whose first request has been answered."""
        client = await self.connect()
        client.send(REQUEST)
        assert await client.response_head()
        return client

    async def busy_clients(self, comparison: "StuckComparison", count: int) -> list[Client]:
        """Return clients whose requests are being processed."""
        clients = [await self.connect() for _ in range(count)]
        for client in clients:
            client.send(REQUEST)
        await wait_until(lambda: comparison.calls == count)
        return clients

    async def connect_plain(self, port: int) -> Client:
        """Connect without TLS."""
        return self._added(await asyncio.open_connection("127.0.0.1", port))

    def _added(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> Client:
        self.clients.append(Client(*streams))
        return self.clients[-1]


class StuckComparison:
    """A comparison that never ends; counts its calls and cancellations."""

    def __init__(self) -> None:
        self.calls = self.cancellations = 0

    async def __call__(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        self.calls += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            raise
        raise AssertionError


class GatedComparison:
    """A comparison that returns once ``release`` is set."""

    def __init__(self) -> None:
        self.has_begun, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        self.has_begun.set()
        await self.release.wait()
        return await fixed_comparison(a, b, options, timer)


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def local_server(
    behaviour: Behaviour = fixed_comparison,
    limits: ConnectionLimits = SHORT_LIMITS,
    readiness_delay_s: float = 0,
    settings: Settings = OPEN,
) -> AsyncIterator[LocalServer]:
    """Run a server with a health port; with TLS if ``tls_files`` is set."""
    application = create_app(settings, lambda _: nullcontext(FakeEngine(FakeService(behaviour))))
    group = ConnectionGroup(limits)
    certificate = Certificate.open(tls_files.settings) if tls_files else None
    configs = [
        uvicorn_config(application, protocol_factory(group, certificate), drain_s=30),
        uvicorn_config(create_health_app(settings), protocol_factory(group), drain_s=30),
    ]
    server = Server(configs, readiness_delay_s)
    with ExitStack() as stack:
        listeners = [stack.enter_context(bind("127.0.0.1", 0)) for _ in range(2)]
        serving = asyncio.create_task(server.serve(listeners))
        await wait_until(lambda: server.started)
        local = LocalServer(server, *(listener.getsockname()[1] for listener in listeners))
        yield local
        for client in local.clients:
            client.close()
        server.should_exit = True
        await serving
        for client in local.clients:
            await client.wait_closed()
