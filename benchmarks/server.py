"""A real server in a process of its own, for the demonstration, the benchmarks and the tests."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

PACK = os.environ.get("COMPAREFACE_MODELS__PACK", "open")
"""What is shown and measured, unless told otherwise; not `auto`, so that a run says what it ran."""


class Server(NamedTuple):
    """Where a running server listens, and a key it accepts."""

    host: str
    port: int
    secret_id: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        """``host:port``, as the SDKs want it."""
        return f"{self.host}:{self.port}"


@contextmanager
def running_server(environment: Mapping[str, str] | None = None, patience_s: float = 60.0) -> Iterator[Server]:
    """Start ``compareface serve`` on a free loopback port with a fresh key, wait until it is ready, stop it."""
    server = Server("127.0.0.1", _free_port(), f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24))
    settings = {
        "COMPAREFACE_SERVER__HOST": server.host,
        "COMPAREFACE_SERVER__PORT": str(server.port),
        "COMPAREFACE_AUTH__KEYS": f"{server.secret_id}:{server.secret_key}",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "COMPAREFACE_MODELS__PACK": PACK,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"], env={**os.environ, **settings, **(environment or {})}
    )
    try:
        _wait_until_ready(server, process, patience_s)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], patience_s: float) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit status {process.returncode}")
        try:
            with opener.open(f"http://{server.endpoint}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not become ready")
