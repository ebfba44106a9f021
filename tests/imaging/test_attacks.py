"""Each URL of the table is sent to a real fetcher and to a running service; no private server receives a connection."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple
from urllib.parse import unquote

import pytest

from app.address import DEFAULT_PORTS
from app.errors import ApiError, ErrorCode
from app.imaging import fetch
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline
from app.settings import FetchSettings
from tests.contract.catalogue import Case, send
from tests.imaging.attacks import ATTACKS, FAILED, FETCHED, Attack
from tests.imaging.name_server import OUTSIDE, NameServer
from tests.support.fakes import code_of
from tests.support.server import Server, running_server

ALL_ATTACKS = [attack for attacks in ATTACKS.values() for attack in attacks]
DATA = b"image"

_connected: list[object] = []


def _record_connection(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _connected.append(arguments[1])


sys.addaudithook(_record_connection)  # cannot be removed; records the connections of every library in this process


class Servers(NamedTuple):
    port: int
    public_port: int
    received: list[str]
    """Addresses of the private server that received a connection."""

    def url(self, attack: Attack) -> str:
        text = attack.url
        while "{" in text:
            text = text.replace("{port}", str(self.port)).replace("{public_port}", str(self.public_port))
        return text


@asynccontextmanager
async def _running_servers() -> AsyncIterator[Servers]:
    """Run the private server on 127.0.0.1 and ::1, and the public server on 127.0.0.2."""
    received: list[str] = []

    async def record(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(writer.get_extra_info("sockname")[0])
        writer.close()

    async with AsyncExitStack() as stack:
        private_v4 = await asyncio.start_server(record, "127.0.0.1", 0)
        port = private_v4.sockets[0].getsockname()[1]
        private_v6 = await asyncio.start_server(record, "::1", port)
        public = await asyncio.start_server(_reply_with_requested_head, OUTSIDE, 0)
        for server in (private_v4, private_v6, public):
            await stack.enter_async_context(server)
        yield Servers(port, public.sockets[0].getsockname()[1], received)


async def _reply_with_requested_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    head = unquote(path.partition("?head=")[2]) or "200 OK"
    writer.write(b"HTTP/1.1 " + head.replace("\n", "\r\n").encode() + b"\r\nConnection: close\r\n\r\n" + DATA)
    await writer.drain()
    writer.close()


class Target(NamedTuple):
    """A fetcher with the servers and names of the attacks."""

    servers: Servers
    names: NameServer
    fetcher: Fetcher

    async def outcome(self, attack: Attack) -> str:
        self.names.reset()
        try:
            assert await self.fetcher.fetch(self.servers.url(attack), Deadline.after(5), 1000) == DATA
        except ApiError as error:
            return error.code.value.rpartition(".")[2]
        return FETCHED


@pytest.fixture
async def target(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Target]:
    monkeypatch.setattr(fetch, "_CONNECT_TIMEOUT_S", 0.2)
    names = NameServer()
    settings = FetchSettings(allow=(OUTSIDE,), timeout_s=2)
    async with _running_servers() as servers, Fetcher(settings, resolver=names.resolve) as fetcher:
        # The port of the private server counts as a default port, so that the address alone must be rejected.
        monkeypatch.setitem(DEFAULT_PORTS, "http", servers.port)
        monkeypatch.setitem(DEFAULT_PORTS, "https", servers.port)
        yield Target(servers, names, fetcher)


async def test_attacks_have_the_listed_outcomes_and_reach_no_forbidden_address(target: Target) -> None:
    assert len({attack.url for attack in ALL_ATTACKS}) == len(ALL_ATTACKS) >= 200
    _connected.clear()
    outcomes = {attack.url: await target.outcome(attack) for attack in ALL_ATTACKS}
    assert outcomes == {attack.url: attack.outcome for attack in ALL_ATTACKS}
    assert set(_connected) == {(OUTSIDE, target.servers.public_port)}
    assert target.servers.received == []


async def test_without_the_address_check_attacks_reach_the_private_server(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private server listens, and the attacks lead to it."""
    monkeypatch.setattr(fetch, "may_connect", lambda *_: True)
    successful = 0
    for attack in ALL_ATTACKS:
        if attack.outcome == FAILED and "{port}" in attack.url:
            before = len(target.servers.received)
            await target.outcome(attack)
            successful += len(target.servers.received) > before
    assert successful >= 40
    assert set(target.servers.received) >= {"127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running_server({"COMPAREFACE_FETCH__ALLOW": OUTSIDE, "COMPAREFACE_FETCH__TIMEOUT_S": "2"}) as server:
        yield server


async def test_the_service_returns_the_listed_errors(service: Server) -> None:
    """The service uses the resolver of the system, so most names do not exist, which has the same outcome."""

    def request(url: str) -> tuple[str, str]:
        reply = send(service, Case(ErrorCode.IMAGE_DOWNLOAD_ERROR, "", {"Url": url}, {"X-TC-Action": "DetectFace"}))
        return code_of(reply).rpartition(".")[2], reply.text

    async with _running_servers() as servers:
        attacks = [attack for attack in ALL_ATTACKS if attack.outcome != FETCHED or "://outside.example" in attack.url]
        urls = [servers.url(attack).replace("://outside.example:", f"://{OUTSIDE}:") for attack in attacks]
        with ThreadPoolExecutor(8) as threads:
            loop = asyncio.get_running_loop()
            replies = await asyncio.gather(*(loop.run_in_executor(threads, request, url) for url in urls))
        assert servers.received == []
    assert len(replies) >= 200
    expected = {FETCHED: ErrorCode.IMAGE_DECODE_FAILED.value.rpartition(".")[2]}  # DATA is not an image
    assert [code for code, _ in replies] == [expected.get(attack.outcome, attack.outcome) for attack in attacks]
    assert [text for _, text in replies if "127.0.0" in text or "example" in text] == []
