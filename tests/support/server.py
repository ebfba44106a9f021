"""A real server in its own process, for the demo, the benchmarks and the tests."""

import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

from app.api.auth.keys import Key
from app.tools.signing import signed_headers
from tests.support.tls import TlsFiles

PACK = os.environ.get("COMPAREFACE_MODELS__PACK", "open")
"""The pack of the servers; not `auto`, so that a result names its pack."""

HOST = "127.0.0.1"

open_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""``urlopen`` without the proxy of the environment, which could not reach this machine's loopback."""


class Server(NamedTuple):
    """Address, key and process of a running server."""

    host: str
    port: int
    secret_id: str
    secret_key: str
    process: subprocess.Popen[bytes]
    tls: ssl.SSLContext | None = None
    """The context of its clients, if it speaks https."""

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"

    def connection(self, timeout_s: float = 30.0) -> HTTPConnection:
        """Return a connection that opens at its first request."""
        if self.tls:
            return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)
        return HTTPConnection(self.host, self.port, timeout=timeout_s)

    @property
    def endpoint(self) -> str:
        """Return ``host:port``, the endpoint setting of the SDKs."""
        return f"{self.host}:{self.port}"

    def headers(self, action: str, body: bytes) -> dict[str, str]:
        """Return the signed headers of a POST of the JSON ``body`` for ``action``."""
        key = Key(label="only", secret_key=self.secret_key)
        signed = signed_headers(self.secret_id, key, self.endpoint, body, int(time.time()))
        return {**signed, "X-TC-Action": action, "X-TC-Version": "2020-03-03"}

    def metric(self, name: str) -> float:
        """Return the sum of the samples of ``/metrics`` that start with ``name``."""
        with closing(self.connection()) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def compare(self, connection: HTTPConnection, body: bytes) -> str:
        """Send the JSON ``body`` to CompareFace; return the error code of the response, or "OK"."""
        connection.request("POST", "/", body, self.headers("CompareFace", body))
        response = json.loads(connection.getresponse().read())["Response"]
        return str(response["Error"]["Code"]) if "Error" in response else "OK"


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    *,
    program: str = "-m app",
    log: Path | None = None,
    first: str = ":",
    tls: TlsFiles | None = None,
) -> Iterator[Server]:
    """Start ``compareface serve`` on a free loopback port with a new key, wait until it is ready, stop it at the end.

    ``program``: Python's arguments that stand for ``compareface``; ``log``: file for its standard error; ``first``: a
    shell command that runs before it in the same process.
    """
    secret_id, secret_key = f"AKID{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    port = int((environment or {}).get("COMPAREFACE_SERVER__PORT") or free_port())
    health_port = {"COMPAREFACE_SERVER__HEALTH_PORT": str(free_port())} if tls else {}
    settings = {
        **health_port,
        "COMPAREFACE_SERVER__HOST": HOST,
        "COMPAREFACE_SERVER__PORT": str(port),
        "COMPAREFACE_SERVER__READINESS_DELAY_S": "0",
        "COMPAREFACE_AUTH__KEYS": f"{secret_id}:{secret_key}",
        "COMPAREFACE_LOG__LEVEL": "warning",
        "COMPAREFACE_MODELS__PACK": PACK,
        **(tls.environment if tls else {}),
        **(environment or {}),
    }
    ready_port = settings.get("COMPAREFACE_SERVER__HEALTH_PORT", port)
    ready = f"http://{HOST}:{ready_port}/readyz"
    with running(f"{program} serve", settings, ready, timeout_s, log=log, first=first) as process:
        yield Server(HOST, port, secret_id, secret_key, process, tls.client_context if tls else None)


@contextmanager
def running(
    program: str,
    environment: Mapping[str, str],
    ready: str,
    timeout_s: float = 60.0,
    *,
    log: Path | None = None,
    first: str = ":",
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, ``python PROGRAM``; wait until the URL ``ready`` answers; stop it at the end."""
    with log.open("wb") if log else nullcontext() as errors:
        process = subprocess.Popen(
            ["sh", "-c", f'{first} && exec "$0" {program}', sys.executable],
            env={**os.environ, **environment},
            stderr=errors,
        )
    try:
        _wait_until_ready(ready, process, timeout_s)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(ready: str, process: subprocess.Popen[bytes], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit status {process.returncode}")
        try:
            with open_without_proxy(ready, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not become ready")
