"""A live server for the whole session, and a web server on loopback whose pictures it may fetch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.fakes import KEYS_FILE
from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server

STALL_S = 5.0


class _Pictures(BaseHTTPRequestHandler):
    """/astronaut.jpg is a picture, /stall answers after :data:`STALL_S` seconds, all else is missing."""

    def do_GET(self) -> None:
        if self.path == "/stall":
            time.sleep(STALL_S)
        found = self.path == "/astronaut.jpg"
        body = jpeg(astronaut()) if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # whoever asked for /stall has left
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture(scope="session")
def pictures() -> Iterator[str]:
    """Base URL of the web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It knows the callers of ``KEYS_FILE``, too."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(KEYS_FILE)
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_AUTH__KEYS_FILE": str(keys)}
    with running_server(settings) as server:
        yield server
