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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

PACK = os.environ.get("COMPAREFACE_MODELS__PACK", "open")
"""What is shown and measured, unless told otherwise; not `auto`, so that a run says what it ran."""


class Server(NamedTuple):
    """Where a running server listens, and a key it accepts."""

    host: str
    port: int
    secret_id: str
    secret_key: str
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """``host:port``, as the SDKs want it."""
        return f"{self.host}:{self.port}"


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    patience_s: float = 60.0,
    *,
    log: Path | None = None,
    first: str = ":",
) -> Iterator[Server]:
    """Start ``compareface serve`` on a free loopback port with a fresh key, wait until it is ready, stop it.

    ``log`` takes its standard error; ``first`` is a shell command that runs in the same process before.
    """
    host, secret_id, secret_key = "127.0.0.1", f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    port = int((environment or {}).get("COMPAREFACE_SERVER__PORT") or _free_port())
    settings = {
        "COMPAREFACE_SERVER__HOST": host,
        "COMPAREFACE_SERVER__PORT": str(port),
        "COMPAREFACE_SERVER__NOTICE_S": "0",
        "COMPAREFACE_AUTH__KEYS": f"{secret_id}:{secret_key}",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "COMPAREFACE_MODELS__PACK": PACK,
    }
    with log.open("wb") if log else nullcontext() as errors:
        process = subprocess.Popen(
            ["sh", "-c", f'{first} && exec "$0" -m app serve', sys.executable],
            env={**os.environ, **settings, **(environment or {})},
            stderr=errors,
        )
    server = Server(host, port, secret_id, secret_key, process)
    try:
        _wait_until_ready(server, process, patience_s)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=40)


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
