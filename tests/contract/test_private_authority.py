"""Each Python client accepts a private certificate authority, configured as CLIENTS.md describes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, iai_client_async

from app.cli import main
from tests.support.images import astronaut, jpeg, shrunk
from tests.support.sdk import compare_request
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles

_FACE = jpeg(shrunk(astronaut(), 256))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def https_server(files: TlsFiles) -> Iterator[Server]:
    with running_server(tls=files) as server:
        yield server


def _profile(https_server: Server, authority: Path | None = None) -> ClientProfile:
    certification = str(authority) if authority else None
    return ClientProfile(httpProfile=HttpProfile(endpoint=https_server.endpoint, certification=certification))


def _score(https_server: Server, profile: ClientProfile) -> float:
    client = iai_client.IaiClient(credential.Credential(https_server.secret_id, https_server.secret_key), "", profile)
    return float(client.CompareFace(compare_request(_FACE, _FACE)).Score)


def test_the_sdk_takes_the_authority_from_its_profile(https_server: Server, files: TlsFiles) -> None:
    assert _score(https_server, _profile(https_server, files.ca)) == 100


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_sdk_ignores_the_environment(
    https_server: Server, files: TlsFiles, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(files.ca))
    with pytest.raises(TencentCloudSDKException, match="CERTIFICATE_VERIFY_FAILED"):
        _score(https_server, _profile(https_server))


async def test_the_async_sdk_takes_the_authority_from_the_environment(
    https_server: Server, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    key = credential.Credential(https_server.secret_id, https_server.secret_key)
    async with iai_client_async.IaiClient(key, "", _profile(https_server)) as client:
        assert (await client.CompareFace(compare_request(_FACE, _FACE))).Score == 100


@pytest.mark.parametrize("is_configured", [True, False])
def test_shadow_takes_the_authority_from_the_environment(
    https_server: Server, files: TlsFiles, is_configured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.shadow.replay._RETRY_DELAYS_S", ())
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{https_server.secret_id}:{https_server.secret_key}")
    if is_configured:
        monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    requests, out = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    requests.write_text('{"Error": "InvalidParameterValue.ImageEmpty"}\n')
    code = main(["shadow", str(requests), "--out", str(out), "--endpoint", f"https://{https_server.endpoint}"])
    assert code == (0 if is_configured else 1)
    codes = [json.loads(line)["local"]["code"] for line in out.read_text().splitlines()]
    assert codes == (["InvalidParameterValue.ImageEmpty"] if is_configured else [])
