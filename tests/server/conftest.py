"""Runs tests of connections with plain http and with TLS."""

import pytest

from tests.server import harness
from tests.support.tls import TlsFiles


@pytest.fixture(scope="session")
def session_tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the servers of the test with this scheme."""
    if request.param == "https":
        monkeypatch.setattr(harness, "tls_files", request.getfixturevalue("session_tls_files"))
    return str(request.param)
