"""Graceful shutdown, on real sockets."""

import asyncio
import logging
import socket

import pytest

from app.server.config import bind
from app.server.connection import BODY_DRAIN_S
from app.server.server import drop_connection_attempts
from app.settings import MetricsSettings, ServerSettings
from tests.server.harness import LONG_LIMITS, REQUEST, local_server, wait_until
from tests.support.fakes import OPEN

pytestmark = pytest.mark.usefixtures("scheme")


async def test_during_the_readiness_delay_the_server_is_not_ready_but_accepts_requests() -> None:
    async with local_server(readiness_delay_s=0.3) as local:
        old = await local.connect()
        old.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await old.response_head()).startswith(b"HTTP/1.1 200 ")
        local.server.should_exit = True
        await asyncio.sleep(0.2)
        new = await local.connect()
        new.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await new.response_head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in head
        old.send(REQUEST)
        assert b"\r\nconnection: close\r\n" in await old.response_head()
        assert await old.is_closed()


def test_new_connection_attempts_are_dropped_and_established_connections_are_kept() -> None:
    with bind("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        listener.listen()
        with socket.create_connection(address) as early:
            drop_connection_attempts(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            accepted, _ = listener.accept()
            early.sendall(b"a")
            assert accepted.recv(1) == b"a"
            accepted.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


async def test_a_second_signal_skips_the_readiness_delay() -> None:
    async with asyncio.timeout(10), local_server(readiness_delay_s=60) as local:
        local.server.should_exit = True
        await asyncio.sleep(0.3)
        local.server.force_exit = True


async def test_a_request_that_arrives_after_the_listener_closed_is_answered() -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        client = await local.answered_client()
        local.server.should_exit = True
        await wait_until(lambda: not local.server.servers[0].is_serving())
        client.send(REQUEST)
        assert b"\r\nconnection: close\r\n" in await client.response_head()


async def test_an_unfinished_body_does_not_delay_shutdown() -> None:
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(10):
        client = await local.answered_client()
        local.server.should_exit = True
        await wait_until(lambda: not local.server.servers[0].is_serving())
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
        assert await client.response_head()
        await wait_until(lambda: not local.connections)


async def test_a_client_that_still_sends_its_body_is_not_cut_off_at_shutdown() -> None:
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(20):
        client = await local.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
        assert await client.response_head()
        local.server.should_exit = True
        for _ in range(2 * round(BODY_DRAIN_S / 0.1)):
            client.send(b"a")
            await asyncio.sleep(0.1)
        assert not await client.is_closed()
        await wait_until(lambda: not local.connections)


async def test_the_health_port_is_plain_http_with_health_checks_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.api.access_log")
    statuses = {}
    async with local_server(limits=LONG_LIMITS) as local:
        for request in ("GET /healthz", "GET /readyz", "GET /metrics", "GET /version", "GET /", "POST /"):
            client = await local.connect_plain(local.health_port)
            client.send(b"%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % request.encode())
            statuses[request] = (await client.status_line())[9:12]
    served = {"GET /healthz": b"200", "GET /readyz": b"200"}
    assert statuses == {**dict.fromkeys(statuses, b"404"), **served}
    messages = [record.message for record in caplog.records if record.name == "app.api.access_log"]
    assert messages == ["no such path"] * 4


async def test_the_health_port_answers_503_during_the_readiness_delay() -> None:
    async with local_server(readiness_delay_s=0.3) as local:
        local.server.should_exit = True
        await asyncio.sleep(0.2)
        client = await local.connect_plain(local.health_port)
        client.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.status_line()).startswith(b"HTTP/1.1 503 ")


async def test_metrics_move_to_the_health_port() -> None:
    settings = OPEN.model_copy(
        update={"metrics": MetricsSettings(enabled=True), "server": ServerSettings(health_port=8001)}
    )
    async with local_server(limits=LONG_LIMITS, settings=settings) as local:
        health, main = await local.connect_plain(local.health_port), await local.connect()
        for client in (health, main):
            client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"compareface_requests_total" in await health.response_body()
        assert b"no such path" in await main.response_body()
