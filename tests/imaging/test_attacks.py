"""Each URL of the table is tried on a real fetcher and on the real service; nobody on loopback hears of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

from app.errors import ApiError, ErrorCode
from app.imaging import fetch
from app.imaging.address import PORTS
from app.imaging.fetch import Fetcher
from app.ops.deadline import Deadline
from app.settings import FetchSettings
from tests.contract.catalogue import Case, send
from tests.imaging.attacks import ATTACKS, FAILED, FETCHED, Attack, rows
from tests.imaging.name_server import OUTSIDE, NameServer
from tests.support.fakes import code_of
from tests.support.server import Server, running_server

EVERY = [attack for attacks in ATTACKS.values() for attack in attacks]
PICTURE = b"picture"

_dialled: list[object] = []


def _listen_in(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _dialled.append(arguments[1])


sys.addaudithook(_listen_in)  # of this process, for good; it sees what every library dials


class World(NamedTuple):
    port: int
    door: int
    heard: list[str]
    """Who was called on 127.0.0.1 and ::1."""

    def url(self, attack: Attack) -> str:
        text = attack.url
        while "{" in text:
            text = text.replace("{port}", str(self.port)).replace("{door}", str(self.door))
        return text


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    """The victims, on one port of both families, and the server that plays the internet."""
    heard: list[str] = []

    async def victim(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer.get_extra_info("sockname")[0])
        writer.close()

    async with AsyncExitStack() as stack:
        four = await asyncio.start_server(victim, "127.0.0.1", 0)
        port = four.sockets[0].getsockname()[1]
        six = await asyncio.start_server(victim, "::1", port)
        outside = await asyncio.start_server(_as_asked, OUTSIDE, 0)
        for server in (four, six, outside):
            await stack.enter_async_context(server)
        yield World(port, outside.sockets[0].getsockname()[1], heard)


async def _as_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    head = unquote(path.partition("?head=")[2]) or "200 OK"
    writer.write(b"HTTP/1.1 " + head.replace("\n", "\r\n").encode() + b"\r\nConnection: close\r\n\r\n" + PICTURE)
    await writer.drain()
    writer.close()


class Scene(NamedTuple):
    world: World
    names: NameServer
    fetcher: Fetcher

    async def outcome(self, attack: Attack) -> str:
        self.names.forget()
        try:
            assert await self.fetcher.fetch(self.world.url(attack), Deadline.after(5), 1000) == PICTURE
        except ApiError as error:
            return error.code.value.rpartition(".")[2]
        return FETCHED


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(fetch, "_CONNECT_TIMEOUT_S", 0.2)
    names = NameServer()
    settings = FetchSettings(allow=(OUTSIDE,), timeout_s=2)
    async with _world() as world, Fetcher(settings, resolver=names.resolve) as fetcher:
        # The port alone must not save us: that of the victims counts as the web's.
        monkeypatch.setitem(PORTS, "http", world.port)
        monkeypatch.setitem(PORTS, "https", world.port)
        yield Scene(world, names, fetcher)


async def test_each_attack_ends_as_the_table_says_and_no_forbidden_address_is_dialled(scene: Scene) -> None:
    assert len({attack.url for attack in EVERY}) == len(EVERY) >= 200
    _dialled.clear()
    outcomes = {attack.shown: await scene.outcome(attack) for attack in EVERY}
    assert outcomes == {attack.shown: attack.outcome for attack in EVERY}
    assert set(_dialled) == {(OUTSIDE, scene.world.door)}
    assert scene.world.heard == []


async def test_a_fetcher_that_vets_no_address_would_be_led_astray(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victims do listen, and the attacks do lead there."""
    monkeypatch.setattr(fetch, "may_reach", lambda *_: True)
    astray = 0
    for attack in EVERY:
        if attack.outcome == FAILED and "{port}" in attack.url:
            before = len(scene.world.heard)
            await scene.outcome(attack)
            astray += len(scene.world.heard) > before
    assert astray >= 40
    assert set(scene.world.heard) >= {"127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running_server({"COMPAREFACE_FETCH__ALLOW": OUTSIDE, "COMPAREFACE_FETCH__TIMEOUT_S": "2"}) as server:
        yield server


async def test_the_service_answers_as_the_table_says(service: Server) -> None:
    """Names mean here what the system's resolver says, so most do not exist, which ends alike."""

    def answer(url: str) -> tuple[str, str]:
        reply = send(service, Case(ErrorCode.IMAGE_DOWNLOAD_ERROR, "", {"Url": url}, {"X-TC-Action": "DetectFace"}))
        return code_of(reply).rpartition(".")[2], reply.text

    async with _world() as world:
        tried = [each for each in EVERY if each.outcome != FETCHED or "://outside.example" in each.url]
        urls = [world.url(attack).replace("://outside.example:", f"://{OUTSIDE}:") for attack in tried]
        with ThreadPoolExecutor(8) as threads:
            loop = asyncio.get_running_loop()
            replies = await asyncio.gather(*(loop.run_in_executor(threads, answer, url) for url in urls))
        assert world.heard == []
    assert len(replies) >= 200
    refused = {FETCHED: ErrorCode.IMAGE_DECODE_FAILED.value.rpartition(".")[2]}  # it was no picture
    assert [code for code, _ in replies] == [refused.get(attack.outcome, attack.outcome) for attack in tried]
    assert [text for _, text in replies if "127.0.0" in text or "example" in text] == []


def test_the_table_of_the_documentation_is_this_one() -> None:
    """``python -m tests.imaging.attacks`` prints it anew."""
    kinds = tuple(f"| {kind} |" for kind in ("kind", *ATTACKS))
    lines = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(kinds)] == [row for row in rows() if row.startswith(kinds)]
