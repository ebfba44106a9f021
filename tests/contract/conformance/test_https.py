"""The vendor's clients call the service over https, changed only by the endpoint and the trusted authority.

Each client trusts a private authority as deploy/CLIENTS.md describes.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.conformance.clients import CLIENTS, Client
from tests.contract.conformance.conftest import run_driver
from tests.contract.conformance.jobs import to_json
from tests.contract.conformance.scenarios import KEYS_FILE, SCENARIOS, encoded_images
from tests.contract.conformance.test_conformance import ALL
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles

_SCENARIOS = [
    scenario
    for scenario in SCENARIOS
    if scenario.name in {"TC3 POST", "HmacSHA1 POST", "8 MB by TC3", "wrong key by TC3"}
]


def _java_truststore(files: TlsFiles) -> dict[str, str]:
    store = files.ca.with_name("truststore.p12")
    command = ["keytool", "-importcert", "-noprompt", "-alias", "ours", "-file", str(files.ca)]
    if not store.exists():
        subprocess.run([*command, "-keystore", str(store), "-storepass", "changeit"], check=True, capture_output=True)
    return {"JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"}


_TRUST: dict[str, Callable[[TlsFiles], dict[str, str]]] = {
    "Python SDK": lambda _: {},
    "Python SDK, async": lambda files: {"SSL_CERT_FILE": str(files.ca)},
    "Python SDK of 2023": lambda _: {},
    "Node SDK": lambda files: {"NODE_EXTRA_CA_CERTS": str(files.ca)},
    "Node SDK 4.0": lambda files: {"NODE_EXTRA_CA_CERTS": str(files.ca)},
    "Go SDK": lambda files: {"SSL_CERT_FILE": str(files.ca)},
    "Go SDK, generic": lambda files: {"SSL_CERT_FILE": str(files.ca)},
    "Java SDK": _java_truststore,
    "Java SDK, iai only": _java_truststore,
}
"""The names of clients, and the environment variables with which each trusts an authority."""


def test_the_clients_exist() -> None:
    assert _TRUST.keys() <= {client.name for client in CLIENTS}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def https_server(files: TlsFiles) -> Iterator[Server]:
    keys = Path(files.ca.with_name("keys.toml"))
    keys.write_text(KEYS_FILE)
    with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}, tls=files) as server:
        yield server


def _skip(client: Client) -> pytest.MarkDecorator:
    return pytest.mark.skip(reason=f"{client.name}: run `make conformance`")


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(client, id=client.name, marks=() if ALL or client.is_installed else _skip(client))
        for client in CLIENTS
        if client.name in _TRUST
    ],
)
def test_the_client_compares_over_https(client: Client, https_server: Server, files: TlsFiles) -> None:
    images = encoded_images("")
    jobs = [scenario.job(https_server.endpoint, images, str(files.ca)) for scenario in _SCENARIOS]
    result = run_driver(client, to_json(jobs), _TRUST[client.name](files))
    if result.skip_reason:
        pytest.skip(result.skip_reason)
    assert result.failure == ""
    for scenario in _SCENARIOS:
        outcome = result.outcomes[scenario.name]
        if not outcome.unsupported:
            scenario.expected.check(outcome)
    assert result.outcomes["TC3 POST"].score == 100


def test_a_client_without_the_authority_gets_no_score(https_server: Server, files: TlsFiles) -> None:
    client = next(client for client in CLIENTS if client.name == "Python SDK, async")
    jobs = [_SCENARIOS[0].job(https_server.endpoint, encoded_images(""), str(files.ca))]
    assert "CERTIFICATE_VERIFY_FAILED" in run_driver(client, to_json(jobs), {}).failure
