"""Time limits, the connection limit, and responses before the client has sent its whole body, on real sockets."""

import asyncio
from collections.abc import Callable

import pytest

from app.server.connection import ConnectionLimits
from tests.server.harness import (
    HEAD,
    LONG_LIMITS,
    REQUEST,
    SHORT_LIMITS,
    Client,
    GatedComparison,
    StuckComparison,
    local_server,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("scheme")


async def test_a_head_that_does_not_arrive_in_time_closes_the_connection() -> None:
    async with local_server() as local:
        silent, slow = await local.connect(), await local.connect()
        for byte in HEAD[:20]:
            slow.send(bytes([byte]))
            await asyncio.sleep(0.03)
        assert await silent.is_closed()
        assert await slow.is_closed()


async def test_each_response_restarts_the_keep_alive_time() -> None:
    async with local_server() as local:
        client = await local.connect()
        for _ in range(4):
            await asyncio.sleep(0.15)
            client.send(REQUEST)
            assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.is_closed(within_s=1)


_PATIENT = SHORT_LIMITS._replace(keep_alive_s=60)


async def test_an_idle_connection_is_kept_alive_longer_than_the_header_timeout() -> None:
    async with local_server(limits=_PATIENT) as local:
        used, unused = await local.connect(), await local.connect()
        used.send(REQUEST)
        assert await used.response_head()
        await asyncio.sleep(3 * _PATIENT.header_timeout_s)
        assert await unused.is_closed()
        used.send(REQUEST)
        assert (await used.response_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pipelined", [0, 20])
async def test_a_later_head_must_arrive_in_time(pipelined: int) -> None:
    async with local_server(limits=_PATIENT) as local:
        client = await local.connect()
        client.send(REQUEST + HEAD[:pipelined])
        assert await client.response_head()
        for byte in HEAD[pipelined : pipelined + 20]:
            client.send(bytes([byte]))
            await asyncio.sleep(0.03)
        assert await client.is_closed()


async def test_the_start_of_a_head_does_not_delay_shutdown() -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        client = await local.answered_client()
        local.server.should_exit = True
        await wait_until(lambda: not local.server.servers[0].is_serving())
        client.send(HEAD[:20])
        assert await client.is_closed(within_s=2)


async def test_too_many_connections_close_the_longest_idle_one() -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        first, second, third = [await local.connect() for _ in range(3)]
        first.send(REQUEST)
        assert await first.response_head()  # now the second connection has been idle longest
        fourth = await local.connect()
        assert [await client.is_closed() for client in (first, second, third, fourth)] == [False, True, False, False]
        fourth.send(REQUEST)
        assert await fourth.response_head()


async def test_too_many_connections_close_the_newest_one_if_all_others_are_busy() -> None:
    comparison = StuckComparison()
    async with local_server(comparison, ConnectionLimits(2, 60, 60, 60)) as local:
        busy = await local.busy_clients(comparison, 2)
        assert await (await local.connect_plain(local.port)).is_closed()
        assert [await client.is_closed() for client in busy] == [False, False]


@pytest.mark.parametrize("disconnect", [Client.close, Client.close_sending_half])
async def test_a_disconnect_cancels_the_request(disconnect: Callable[[Client], None]) -> None:
    """Closing only the sending half counts as a disconnect."""
    comparison = StuckComparison()
    async with local_server(comparison, ConnectionLimits(2, 60, 60, 60)) as local:
        client = await local.connect()
        client.send(REQUEST)
        await wait_until(lambda: comparison.calls == 1)
        disconnect(client)
        await wait_until(lambda: comparison.cancellations == 1)


async def test_a_client_that_reads_no_responses_is_closed() -> None:
    async with local_server() as local:
        client = await local.connect()
        client.send(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
        await wait_until(lambda: local.server.server_state.total_requests > 0)
        await wait_until(lambda: local.connections == [])


async def test_a_client_that_sends_after_an_early_response_is_closed_eventually(scheme: str) -> None:
    async with local_server(limits=SHORT_LIMITS) as local:
        client = await local.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9999999\r\n\r\n")
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.is_closed() == (scheme == "http")  # TLS cannot close only the sending half
        assert local.connections
        async with asyncio.timeout(10):
            while local.connections:
                client.send(b"a" * 10_000)
                await asyncio.sleep(0.05)


async def test_an_upgrade_request_is_answered_as_http_1_1_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        client = await local.connect()
        client.send(REQUEST.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket"))
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
    assert "pgrade" not in caplog.text


@pytest.mark.parametrize("data", [b"\r\n", REQUEST])
async def test_bytes_after_the_last_request_do_not_affect_its_response(data: bytes) -> None:
    comparison = GatedComparison()
    async with local_server(comparison, LONG_LIMITS) as local, asyncio.timeout(20):
        client = await local.connect()
        client.send(REQUEST.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        await comparison.has_begun.wait()
        client.send(data)
        await asyncio.sleep(0.1)
        comparison.release.set()
        assert (await client.response_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.is_closed()


_INVALID_REQUESTS = (
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"\0\r\n\r\n",
)


@pytest.mark.parametrize("data", _INVALID_REQUESTS)
async def test_a_connection_that_sent_an_invalid_request_counts_as_idle(data: bytes) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        for _ in range(3):
            client = await local.connect()
            client.send(data)
            assert (await client.status_line()).startswith(b"HTTP/1.1 400 ")
        new = await local.connect()
        new.send(REQUEST)
        assert (await new.response_head()).startswith(b"HTTP/1.1 200 ")
