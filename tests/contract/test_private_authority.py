"""Each Python client accepts a private certificate authority, configured as MIGRATING.md describes."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, iai_client_async

from app.cli import main
from tests.support.images import astronaut, jpeg, shrunk
from tests.support.sdk import compare_request
from tests.support.server import Server

_FACE = jpeg(shrunk(astronaut(), 256))


class _TlsProxy(NamedTuple):
    endpoint: str
    authority: str


@pytest.fixture(scope="module")
def tls_proxy(live_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_TlsProxy]:
    """A proxy that terminates TLS, as an Ingress does."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(live_server.host, live_server.port)
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))

    proxy = loop.run_until_complete(asyncio.start_server(forward, sock=listener, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield _TlsProxy(f"localhost:{listener.getsockname()[1]}", str(path))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(_close(proxy))
    loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _close(proxy: asyncio.Server) -> None:
    proxy.close()
    connections = asyncio.all_tasks() - {asyncio.current_task()}
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


def _profile(tls_proxy: _TlsProxy, authority: str | None) -> ClientProfile:
    return ClientProfile(httpProfile=HttpProfile(endpoint=tls_proxy.endpoint, certification=authority))


def _score(live_server: Server, profile: ClientProfile) -> float:
    client = iai_client.IaiClient(credential.Credential(live_server.secret_id, live_server.secret_key), "", profile)
    return float(client.CompareFace(compare_request(_FACE, _FACE)).Score)


def test_the_sdk_takes_the_authority_from_its_profile(live_server: Server, tls_proxy: _TlsProxy) -> None:
    assert _score(live_server, _profile(tls_proxy, tls_proxy.authority)) == 100


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_sdk_ignores_the_environment(
    live_server: Server, tls_proxy: _TlsProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, tls_proxy.authority)
    with pytest.raises(TencentCloudSDKException, match="CERTIFICATE_VERIFY_FAILED"):
        _score(live_server, _profile(tls_proxy, None))


async def test_the_async_sdk_takes_the_authority_from_the_environment(
    live_server: Server, tls_proxy: _TlsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", tls_proxy.authority)
    key = credential.Credential(live_server.secret_id, live_server.secret_key)
    async with iai_client_async.IaiClient(key, "", _profile(tls_proxy, None)) as client:
        assert (await client.CompareFace(compare_request(_FACE, _FACE))).Score == 100


@pytest.mark.parametrize("is_configured", [True, False])
def test_shadow_takes_the_authority_from_the_environment(
    live_server: Server, tls_proxy: _TlsProxy, is_configured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.shadow.replay._RETRY_DELAYS_S", ())
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{live_server.secret_id}:{live_server.secret_key}")
    if is_configured:
        monkeypatch.setenv("SSL_CERT_FILE", tls_proxy.authority)
    requests, out = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    requests.write_text('{"Error": "InvalidParameterValue.ImageEmpty"}\n')
    code = main(["shadow", str(requests), "--out", str(out), "--endpoint", f"https://{tls_proxy.endpoint}"])
    assert code == (0 if is_configured else 1)
    codes = [json.loads(line)["local"]["code"] for line in out.read_text().splitlines()]
    assert codes == (["InvalidParameterValue.ImageEmpty"] if is_configured else [])
