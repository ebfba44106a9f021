"""A real server in a process of its own, for the demonstration, the benchmarks and the tests."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

PACK = os.environ.get("COMPAREFACE_MODELS__PACK", "open")
"""What is shown and measured, unless told otherwise; not `auto`, so that a run says what it ran."""


HOST = "127.0.0.1"


class Server(NamedTuple):
    """Where a running server listens, a key it accepts, and its process."""

    host: str
    port: int
    secret_id: str
    secret_key: str
    pid: int

    @property
    def endpoint(self) -> str:
        """``host:port``, as the SDKs want it."""
        return f"{self.host}:{self.port}"


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None, patience_s: float = 60.0, program: Sequence[str] = ("app",)
) -> Iterator[Server]:
    """Start ``compareface serve`` on a free loopback port with a fresh key, wait until it is ready, stop it.

    ``program``: the module that is ``compareface``, and what it wants to be told first.
    """
    port, secret_id, secret_key = free_port(), f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    settings = {
        "COMPAREFACE_SERVER__HOST": HOST,
        "COMPAREFACE_SERVER__PORT": str(port),
        "COMPAREFACE_AUTH__KEYS": f"{secret_id}:{secret_key}",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "COMPAREFACE_MODELS__PACK": PACK,
        **(environment or {}),
    }
    with running([*program, "serve"], settings, f"http://{HOST}:{port}/readyz", patience_s) as process:
        yield Server(HOST, port, secret_id, secret_key, process.pid)


@contextmanager
def running(
    arguments: Sequence[str], environment: Mapping[str, str], ready: str, patience_s: float = 60.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of Python as a server, wait until the address ``ready`` answers, stop it in the end."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], env={**os.environ, **environment})
    try:
        _wait_until_ready(ready, process, patience_s)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(ready: str, process: subprocess.Popen[bytes], patience_s: float) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit status {process.returncode}")
        try:
            with opener.open(ready, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not become ready")
