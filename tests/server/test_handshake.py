"""TLS handshakes within the limits of connections, the negotiated protocol, and plain bytes, on real sockets."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.server.connection import ConnectionLimits
from tests.server.harness import (
    BODY,
    HEAD,
    LONG_LIMITS,
    REQUEST,
    LocalServer,
    StuckComparison,
    local_server,
    wait_until,
)
from tests.support.fakes import limited
from tests.support.tls import TlsFiles

_LEGACY_HELLO = bytes.fromhex("16 03 01 00 05 01 00 00 01 00")  # a handshake record whose message is cut off


@pytest.fixture(autouse=True)
def tls_files(session_tls_files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> TlsFiles:
    monkeypatch.setattr("tests.server.harness.tls_files", session_tls_files)
    return session_tls_files


class _MemoryClient:
    """A TLS client that hands out its bytes, so that a test decides when to send them."""

    def __init__(self, context: ssl.SSLContext, local: LocalServer) -> None:
        self._context, self._local = context, local
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname="localhost")

    async def start(self) -> None:
        """Send the first message of the handshake and read the reply."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._local.port)
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._writer.write(self._to_send.read())
        self._received.write(await self._reader.read(65536))

    def finish_with(self, data: bytes) -> None:
        """Send the end of the handshake and ``data`` at once, in one write."""
        self._tls.do_handshake()
        self._tls.write(data)
        self._writer.write(self._to_send.read())

    async def receive(self) -> bytes:
        """Return the next bytes; empty if the server has closed the connection."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self._reader.read(65536)
                if not data:
                    return b""
                self._received.write(data)

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def _half_open(local: LocalServer, tls_files: TlsFiles) -> AsyncIterator[_MemoryClient]:
    client = _MemoryClient(tls_files.client_context, local)
    await client.start()
    yield client
    client.close()


@pytest.mark.parametrize("padding", [0, 15_000, 200_000])
async def test_a_request_that_arrives_with_the_end_of_the_handshake_is_answered(
    tls_files: TlsFiles, padding: int
) -> None:
    body = BODY + b" " * padding
    async with local_server(limits=LONG_LIMITS) as local, _half_open(local, tls_files) as client:
        client.finish_with(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await client.receive()).startswith(b"HTTP/1.1 200 ")


async def test_an_oversized_head_that_arrives_with_the_end_of_the_handshake_is_refused(tls_files: TlsFiles) -> None:
    async with local_server(limits=LONG_LIMITS) as local, _half_open(local, tls_files) as client:
        client.finish_with(HEAD + b"a: " + b"x" * 240_000 + b"\r\n\r\n")
        assert (await client.receive()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [b"", _LEGACY_HELLO[:7], b"\x16"])
async def test_a_handshake_that_does_not_end_in_time_closes_the_connection(sent: bytes) -> None:
    async with local_server() as local:
        client = await local.connect_plain(local.port)
        client.send(sent)
        await wait_until(lambda: len(local.connections) == 1)
        assert not await client.is_closed()
        assert await client.is_closed(within_s=1)
        assert local.connections == []


async def test_a_handshake_that_arrives_byte_by_byte_closes_the_connection(tls_files: TlsFiles) -> None:
    async with local_server() as local:
        client = await local.connect_plain(local.port)
        for byte in _LEGACY_HELLO:
            client.send(bytes([byte]))
            await asyncio.sleep(0.06)
        assert await client.is_closed()


async def test_handshakes_count_as_idle_connections() -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        silent = [await local.connect_plain(local.port) for _ in range(4)]
        assert [await client.is_closed() for client in silent] == [True, False, False, False]
        await local.answered_client()
        assert await silent[1].is_closed()
        assert len(local.connections) == 3


async def test_a_handshake_is_closed_if_all_connections_are_busy() -> None:
    comparison = StuckComparison()
    async with local_server(comparison, ConnectionLimits(2, 60, 60, 60)) as local:
        await local.busy_clients(comparison, 2)
        assert await (await local.connect_plain(local.port)).is_closed()
        assert len(local.connections) == 2


async def test_a_handshake_that_has_begun_at_shutdown_is_completed_and_its_request_answered(
    tls_files: TlsFiles,
) -> None:
    async with local_server(limits=LONG_LIMITS) as local, _half_open(local, tls_files) as client:
        local.server.should_exit = True
        await wait_until(lambda: not local.server.servers[0].is_serving())
        client.finish_with(REQUEST)
        assert b"\r\nconnection: close\r\n" in await client.receive()


async def test_a_handshake_does_not_delay_shutdown() -> None:
    async with local_server(limits=LONG_LIMITS) as local, asyncio.timeout(5):
        client = await local.connect_plain(local.port)
        await wait_until(lambda: len(local.connections) == 1)
        local.server.should_exit = True
        assert await client.is_closed(within_s=3)


async def test_a_disconnect_during_the_handshake_leaves_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        for sent in (b"", _LEGACY_HELLO[:7]):
            client = await local.connect_plain(local.port)
            client.send(sent)
            await wait_until(lambda: len(local.connections) == 1)
            client.close()
            await wait_until(lambda: local.connections == [])
    assert "handshake" not in caplog.text


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


async def test_data_without_tls_on_the_tls_port_is_closed_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        methods = (b"GET", b"POST", b"HEAD", b"PUT", b"CONNECT", b"DELETE", b"OPTIONS")
        for line in (*(method + b" / HTTP/1.1" for method in methods), b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443"):
            client = await local.connect_plain(local.port)
            client.send(line + b"\r\nHost: a\r\n\r\n")
            assert await client.is_closed(within_s=2)
    (warning,) = _warnings(caplog)
    assert warning.startswith("data without TLS, such as a plain http request, arrived on the https port")


def _connect_without_the_authority(port: int) -> None:
    """Not with asyncio, which sends no alert."""
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


async def test_a_client_without_the_authority_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        await asyncio.to_thread(_connect_without_the_authority, local.port)
        await wait_until(lambda: "TLS handshake failed: " in caplog.text)
    assert "UNKNOWN_CA" in caplog.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_have_modern_ciphers_and_http_1_1(tls_files: TlsFiles, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(tls_files.ca))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with local_server(limits=LONG_LIMITS) as local:
        _, writer = await asyncio.open_connection("localhost", local.port, ssl=context, family=socket.AF_INET)
        tls = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        cipher, _, bits = tls.cipher()
        assert "GCM" in cipher or "CHACHA20" in cipher
        assert bits >= 128
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("version", "ciphers", "reason"),
    [
        (ssl.TLSVersion.TLSv1_1, "DEFAULT@SECLEVEL=0", "UNSUPPORTED_PROTOCOL"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AES+SHA256:!AESGCM", "NO_SHARED_CIPHER"),
        (ssl.TLSVersion.TLSv1_2, "kRSA", "NO_SHARED_CIPHER"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_versions_and_ciphers_are_refused(
    tls_files: TlsFiles, version: ssl.TLSVersion, ciphers: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context(cafile=str(tls_files.ca))
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    async with local_server(limits=LONG_LIMITS) as local:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", local.port, ssl=context, family=socket.AF_INET)
    assert f"TLS handshake failed: {reason}" in caplog.text


async def test_a_tls_handshake_on_a_plain_port_is_refused_and_logged_once(
    tls_files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    async with local_server(limits=LONG_LIMITS) as local:
        for _ in range(2):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("localhost", local.health_port, ssl=tls_files.client_context)
    (warning,) = _warnings(caplog)
    assert "COMPAREFACE_SERVER__TLS_CERT and COMPAREFACE_SERVER__TLS_KEY" in warning


async def test_a_connection_buffers_little_received_data() -> None:
    """Fails if another version of Python ignores the buffer size that ``app.server.handshake`` sets."""
    comparison, body = StuckComparison(), BODY + b" " * 4_000_000
    async with local_server(comparison, LONG_LIMITS, settings=limited(max_in_flight=1)) as local:
        busy, queued = await local.connect(), await local.connect()
        busy.send(REQUEST)
        await wait_until(lambda: comparison.calls == 1)
        queued.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.5)
        sizes = [
            connection.transport._transport._ssl_protocol._get_read_buffer_size() for connection in local.connections
        ]
        assert 0 < max(sizes) <= 128 * 1024
        assert {len(connection.transport._transport._ssl_protocol._ssl_buffer) for connection in local.connections} == {
            32 * 1024
        }
