"""A web server on loopback from which the live service may fetch images."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.images import astronaut, jpeg

STALL_S = 5.0


class _ImageHandler(BaseHTTPRequestHandler):
    """Serves /astronaut.jpg; /stall responds after :data:`STALL_S` seconds; every other path is 404."""

    def do_GET(self) -> None:
        if self.path == "/stall":
            time.sleep(STALL_S)
        exists = self.path == "/astronaut.jpg"
        body = jpeg(astronaut()) if exists else b""
        self.send_response(200 if exists else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # the client of /stall has disconnected
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture(scope="session")
def images_url() -> Iterator[str]:
    """Base URL of the web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _ImageHandler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
