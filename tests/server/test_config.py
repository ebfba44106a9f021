"""The socket of a server."""

import pytest

from app.server.config import bind


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
