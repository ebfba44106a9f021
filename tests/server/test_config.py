"""The sockets of a server."""

import pytest

from app.environment import Settings
from app.server import config
from app.server.config import bind, listeners, log_connection_limit
from app.settings import RuntimeSettings, ServerSettings
from tests.support.server import free_port


def test_an_address_in_use_is_reported_with_the_address() -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        hint = r"Address already in use\. Select another port: COMPAREFACE_SERVER__PORT=9000"
        with pytest.raises(OSError, match=hint) as caught:
            bind("127.0.0.1", port)
    assert caught.value.filename == f"127.0.0.1:{port}"


def test_an_unknown_host_is_reported() -> None:
    with pytest.raises(OSError, match="not an address"):
        bind("not an address", 0)


@pytest.mark.parametrize(("allowed_files", "count"), [(500, 1), (2000, 0)])
def test_a_limit_of_open_files_that_allows_fewer_connections_is_logged(
    allowed_files: int, count: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(config, "raise_open_file_limit", lambda needed: min(needed, allowed_files))
    log_connection_limit(Settings(runtime=RuntimeSettings(threads=2)), processes=2)
    assert len(caplog.records) == count
    for record in caplog.records:
        assert vars(record)["fields"]["configured"] == 2000
        assert 0 < vars(record)["fields"]["connections"] < 1000


def test_the_health_port_is_bound_after_the_main_port() -> None:
    ports = [free_port(), free_port()]
    with listeners(ServerSettings(port=ports[0], health_port=ports[1])) as sockets:
        assert [listener.getsockname()[1] for listener in sockets] == ports
    with listeners(ServerSettings(port=ports[0])) as sockets:
        assert len(sockets) == 1
