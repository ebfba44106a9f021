"""A small application in several server processes, which answers with its process ID.

It answers at ``/slow`` after a moment, and at ``/busy`` after computing for ``BUSY_S`` seconds in threads. At ``/hang``
its event loop blocks.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from starlette.types import Receive, Scope, Send

from app.server.config import ServerConfig, protocol_factory, uvicorn_config
from app.server.connection import ConnectionGroup, ConnectionLimits
from app.server.supervised import SupervisedServer

SLOW_S = 0.5
BUSY_S = 2.5
REPORT_INTERVAL_S = 0.2
_LIMITS = ConnectionLimits(max_connections=1000, header_timeout_s=60, keep_alive_s=60, deadline_s=60)


def start(number: int, channel: socket.socket) -> BaseProcess:
    """Start a server process that answers."""
    return _start(_serve, channel)


def start_failing(number: int, channel: socket.socket) -> BaseProcess:
    """Start a process that exits with status 4 before it is ready."""
    return _start(_fail, channel)


def start_hanging(number: int, channel: socket.socket) -> BaseProcess:
    """Start a process that never becomes ready and ignores SIGTERM."""
    return _start(_hang, channel)


def _start(target: object, channel: socket.socket) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=(channel,), daemon=True)  # type: ignore[arg-type]
    process.start()
    return process


def config() -> ServerConfig:
    """Return the configuration of the application."""
    created = uvicorn_config(_answer, protocol_factory(ConnectionGroup(_LIMITS)), drain_s=10)
    created.lifespan = "off"
    return created


def _serve(channel: socket.socket) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(SupervisedServer([config()], channel, "ready", REPORT_INTERVAL_S).serve([]))


def _fail(channel: socket.socket) -> None:
    sys.exit(4)


def _hang(channel: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def _compute() -> None:
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until:
        pass


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(SLOW_S)
    elif scope["path"] == "/busy":
        await asyncio.gather(*(asyncio.to_thread(_compute) for _ in range(3)))
    elif scope["path"] == "/hang":
        time.sleep(3600)  # noqa: ASYNC251 - the event loop must not run
    body = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def running_children() -> Iterator[int]:
    """Yield the process IDs of the running children of this process."""
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, children.read_text().split())
