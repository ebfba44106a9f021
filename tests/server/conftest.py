"""Runs tests of connections with plain http and with TLS, and shortens the pauses of the server."""

import pytest

from app.server import connection, server, supervisor
from tests.server import harness
from tests.support.tls import TlsFiles


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten pauses for slow networks, which nearly every test would wait for."""
    monkeypatch.setattr(connection, "TLS_PAUSE_S", 0.3)
    monkeypatch.setattr(server, "_HANDSHAKE_S", 0.02)
    monkeypatch.setattr(supervisor, "_RESTART_DELAY_S", 0.2)


@pytest.fixture(scope="session")
def session_tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the servers of the test with this scheme."""
    if request.param == "https":
        monkeypatch.setattr(harness, "tls_files", request.getfixturevalue("session_tls_files"))
    return str(request.param)
