"""A server process of the supervisor; test_supervisor.py has several of them."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

import pytest

from app.server import channel
from app.server.channel import Load
from app.server.supervised import SupervisedServer
from tests.server import processes

_T = TypeVar("_T")


async def _received(receive: Callable[[socket.socket], _T], ours: socket.socket) -> _T:
    async with asyncio.timeout(20):
        while True:
            try:
                return receive(ours)
            except BlockingIOError:
                await asyncio.sleep(0.01)


async def _ready(ours: socket.socket) -> None:
    assert await _received(channel.receive_announcement, ours) == "ready"
    assert await _received(channel.receive_load, ours) == Load(0, 0, is_stopping=False)


async def test_a_process_stops_when_the_supervisor_is_gone() -> None:
    ours, theirs = channel.pair()
    with theirs:
        process = processes.start(0, theirs)
    await _ready(ours)
    ours.close()
    process.join(timeout=10)
    assert process.exitcode == 0


async def test_a_process_whose_supervisor_exits_during_the_start_logs_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = channel.pair()
    with theirs:
        process = processes.start(0, theirs)
    ours.close()
    await asyncio.to_thread(process.join, 20)
    assert process.exitcode == 0
    assert capfd.readouterr().err == "the supervisor has exited\n"


async def test_a_lost_connection_does_not_stop_a_process() -> None:
    ours, theirs = channel.pair()
    with theirs:
        process = processes.start(0, theirs)
    await _ready(ours)
    ours.send(bytes([0]))  # as if no file descriptor were left
    while (load := await _received(channel.receive_load, ours)) == Load(0, 0, is_stopping=False):
        pass
    assert load == Load(1, 0, is_stopping=False)
    ours.close()
    process.join(timeout=10)


async def test_after_sigterm_connections_are_accepted_until_the_supervisor_sends_no_more() -> None:
    ours, theirs = channel.pair()
    with theirs:
        process = processes.start(0, theirs)
    await _ready(ours)
    process.terminate()
    await asyncio.sleep(0.3)
    client, accepted = socket.socketpair()
    with ours, client:
        with accepted:
            channel.send_connection(ours, 0, accepted)
        ours.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = await asyncio.to_thread(client.recv, 1000)
        assert response.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in response
    process.join(timeout=10)
    assert process.exitcode == 0


async def test_an_idle_process_reports_its_load_regularly_and_during_its_shutdown() -> None:
    ours, theirs = channel.pair()
    with theirs:
        process = processes.start(0, theirs)
    with ours:
        await _ready(ours)
        assert await _received(channel.receive_load, ours) == Load(0, 0, is_stopping=False)
        process.terminate()
        while await _received(channel.receive_load, ours) == Load(0, 0, is_stopping=False):
            pass
        assert await _received(channel.receive_load, ours) == Load(0, 0, is_stopping=True)
    process.join(timeout=10)
    assert process.exitcode == 0


async def test_each_added_and_removed_connection_is_reported() -> None:
    """A TLS handshake leaves the set before its connection joins it."""
    ours, theirs = channel.pair()
    with ours, theirs:
        theirs.setblocking(False)
        connections = SupervisedServer([processes.config()], theirs, "ready").server_state.connections
        handshake, connection = object(), object()
        connections.add(handshake)  # type: ignore[arg-type]
        connections.discard(handshake)
        connections.add(connection)  # type: ignore[arg-type]
        loads = [channel.receive_load(ours) for _ in range(3)]
        assert [load.open for load in loads if load] == [1, 0, 1]
