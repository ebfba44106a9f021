"""TLS before a live server, by an authority that nobody knows: how each Python client is told of it (MIGRATING.md)."""

from __future__ import annotations

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


class _Front(NamedTuple):
    endpoint: str
    authority: str


@pytest.fixture(scope="module")
def front(live: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Front]:
    """A proxy that ends TLS, as an Ingress does."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection(live.host, live.port)
        await asyncio.gather(_pump(reader, to_behind), _pump(behind, writer))

    proxy = loop.run_until_complete(asyncio.start_server(forward, sock=listener, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield _Front(f"localhost:{listener.getsockname()[1]}", str(path))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(_close(proxy))
    loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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


def _profile(front: _Front, authority: str | None) -> ClientProfile:
    return ClientProfile(httpProfile=HttpProfile(endpoint=front.endpoint, certification=authority))


def _score(live: Server, profile: ClientProfile) -> float:
    client = iai_client.IaiClient(credential.Credential(live.secret_id, live.secret_key), "", profile)
    return float(client.CompareFace(compare_request(_FACE, _FACE)).Score)


def test_the_sdk_is_told_in_its_profile(live: Server, front: _Front) -> None:
    assert _score(live, _profile(front, front.authority)) == 100


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_sdk_does_not_look_into_the_environment(
    live: Server, front: _Front, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, front.authority)
    with pytest.raises(TencentCloudSDKException, match="CERTIFICATE_VERIFY_FAILED"):
        _score(live, _profile(front, None))


async def test_the_async_sdk_is_told_by_the_environment(
    live: Server, front: _Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", front.authority)
    key = credential.Credential(live.secret_id, live.secret_key)
    async with iai_client_async.IaiClient(key, "", _profile(front, None)) as client:
        assert (await client.CompareFace(compare_request(_FACE, _FACE))).Score == 100


@pytest.mark.parametrize("is_told", [True, False])
def test_shadow_is_told_by_the_environment(
    live: Server, front: _Front, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.shadow.replay._RETRY_DELAYS_S", ())
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{live.secret_id}:{live.secret_key}")
    if is_told:
        monkeypatch.setenv("SSL_CERT_FILE", front.authority)
    requests, out = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    requests.write_text('{"Error": "InvalidParameterValue.ImageEmpty"}\n')
    code = main(["shadow", str(requests), "--out", str(out), "--endpoint", f"https://{front.endpoint}"])
    assert code == (0 if is_told else 1)
    codes = [json.loads(line)["local"]["code"] for line in out.read_text().splitlines()]
    assert codes == (["InvalidParameterValue.ImageEmpty"] if is_told else [])
