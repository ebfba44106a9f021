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

from app.api.auth.keys import Key
from app.cli.sign import signed_headers

PACK = os.environ.get("COMPAREFACE_MODELS__PACK", "open")
"""What is shown and measured, unless told otherwise; not `auto`, so that a run says what it ran."""


HOST = "127.0.0.1"

open_here = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""As ``urlopen``, but past any proxy that the environment names: it would look for loopback on its own machine."""


class Server(NamedTuple):
    """Where a running server listens, a key it accepts, and its process."""

    host: str
    port: int
    secret_id: str
    secret_key: str
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """``host:port``, as the SDKs want it."""
        return f"{self.host}:{self.port}"

    def headers(self, action: str, body: bytes) -> dict[str, str]:
        """Return what a POST of the JSON ``body`` carries now that asks for ``action``."""
        key = Key(label="only", secret_key=self.secret_key)
        signed = signed_headers(self.secret_id, key, self.endpoint, body, int(time.time()))
        return {**signed, "X-TC-Action": action, "X-TC-Version": "2020-03-03"}


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    patience_s: float = 60.0,
    *,
    program: str = "-m app",
    log: Path | None = None,
    first: str = ":",
) -> Iterator[Server]:
    """Start ``compareface serve`` on a free loopback port with a fresh key, wait until it is ready, stop it.

    ``program``: what Python runs as ``compareface``; ``log`` takes its standard error; ``first`` is a shell command
    that runs in the same process before.
    """
    secret_id, secret_key = f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    port = int((environment or {}).get("COMPAREFACE_SERVER__PORT") or free_port())
    settings = {
        "COMPAREFACE_SERVER__HOST": HOST,
        "COMPAREFACE_SERVER__PORT": str(port),
        "COMPAREFACE_SERVER__READINESS_DELAY_S": "0",
        "COMPAREFACE_AUTH__KEYS": f"{secret_id}:{secret_key}",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "COMPAREFACE_MODELS__PACK": PACK,
        **(environment or {}),
    }
    ready = f"http://{HOST}:{port}/readyz"
    with running(f"{program} serve", settings, ready, patience_s, log=log, first=first) as process:
        yield Server(HOST, port, secret_id, secret_key, process)


@contextmanager
def running(
    program: str,
    environment: Mapping[str, str],
    ready: str,
    patience_s: float = 60.0,
    *,
    log: Path | None = None,
    first: str = ":",
) -> Iterator[subprocess.Popen[bytes]]:
    """Have Python run ``program``, a server; wait until the address ``ready`` answers; stop it in the end."""
    with log.open("wb") if log else nullcontext() as errors:
        process = subprocess.Popen(
            ["sh", "-c", f'{first} && exec "$0" {program}', sys.executable],
            env={**os.environ, **environment},
            stderr=errors,
        )
    try:
        _wait_until_ready(ready, process, patience_s)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(ready: str, process: subprocess.Popen[bytes], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit status {process.returncode}")
        try:
            with open_here(ready, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not become ready")
