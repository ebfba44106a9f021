"""The sockets of a server."""

import pytest

from app.server.config import bind, listeners
from app.settings import ServerSettings
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


def test_the_health_port_is_bound_after_the_main_port() -> None:
    ports = [free_port(), free_port()]
    with listeners(ServerSettings(port=ports[0], health_port=ports[1])) as sockets:
        assert [listener.getsockname()[1] for listener in sockets] == ports
    with listeners(ServerSettings(port=ports[0])) as sockets:
        assert len(sockets) == 1
