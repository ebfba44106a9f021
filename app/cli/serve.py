"""``compareface serve``: the HTTP service; ``--check`` tries one request through all of it and exits."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, NoReturn

import app
from app.environment import load_settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from app.api.engine import OpenEngine
    from app.environment import Settings

_MAX_HEAD_BYTES = 64 * 1024  # a GET request's line may have 34 KB
_OWN_FILES = 32


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve CompareFace over HTTP",
        description="Serve CompareFace over HTTP. Settings come from the environment; see `compareface config --help`.",
    )
    parser.add_argument("--check", action="store_true", help="open the engine, try one request in-process, and exit")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="with the pack `auto`, first try for so long to pull the better one",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.cli.models import prepare_best  # noqa: PLC0415 - heavy; the parser must stay quick
    from app.engine import Engine  # noqa: PLC0415
    from app.ops import logs, process  # noqa: PLC0415

    process.forbid_core_dumps()
    settings = load_settings()
    settings.check_may_serve(on_loopback=settings.server.is_loopback)
    # The check's own request ends in an error that is wanted.
    logs.configure("warning" if args.check else settings.log.level)
    if args.check:
        return asyncio.run(check(settings, Engine.open))
    # uvicorn ends gracefully, then raises the signal again: leaving by exception lets the engine close, too.
    signal.signal(signal.SIGTERM, _leave)

    def open_engine(settings: Settings) -> AbstractAsyncContextManager[Engine]:
        if args.budget:
            prepare_best(settings.models, args.budget)
        return Engine.open(settings)

    return asyncio.run(serve(settings, open_engine))


async def serve(settings: Settings, open_engine: OpenEngine) -> int:
    """Serve until a signal comes. A port in use, or a broken file of keys, is told before models are got and loaded."""
    from app.asgi import create_app  # noqa: PLC0415
    from app.server.server import Server  # noqa: PLC0415

    with bind(settings.server.host, settings.server.port) as listener:
        application = create_app(settings, lambda _: nullcontext(engine))
        async with open_engine(settings) as engine:
            await asyncio.sleep(0)  # a Ctrl-C so far takes effect here, before there is anything else to undo
            gc.collect()
            gc.freeze()  # what is there stays: to look through it again held all requests up for 30 ms, now and then
            server = Server(_configured(settings, application), settings.server.readiness_delay_s)
            listener.listen()  # whoever reads the line may call at once
            print(announcement(settings, listener.getsockname()[1], engine.facts()), flush=True)
            await server.serve([listener])
    return 0


def _configured(settings: Settings, application: FastAPI) -> uvicorn.Config:
    import uvicorn  # noqa: PLC0415

    from app.ops.process import allow_open_files  # noqa: PLC0415
    from app.server.connection import Bounds, bounded  # noqa: PLC0415
    from app.server.server import AT_ONCE, TOO_MANY  # noqa: PLC0415

    limits = settings.limits
    # Each request may fetch two pictures; the rest is for models, keys, and connections about to be closed.
    others = 2 * limits.max_in_flight + TOO_MANY + _OWN_FILES
    most = max(1, min(limits.max_connections, allow_open_files(limits.max_connections + others) - others))
    return uvicorn.Config(
        application,
        http=bounded(Bounds(most, limits.header_timeout_s, limits.deadline_s)),
        ws="none",
        lifespan="on",
        backlog=AT_ONCE,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        timeout_graceful_shutdown=settings.server.drain_s,
        server_header=False,
        access_log=False,
        log_config=None,
    )


async def check(settings: Settings, open_engine: OpenEngine) -> int:
    """Return 0 if a request passes through the whole service: a picture without a face must be called just that."""
    from app.tools.self_test import NO_FACE, try_request  # noqa: PLC0415

    async with open_engine(settings) as engine:
        outcome = await try_request(settings, engine)
        facts = engine.facts()
    if outcome != NO_FACE:
        print(f"compareface: the check failed: a picture without a face gave {outcome}", file=sys.stderr)
        return 1
    print(f"compareface {app.__version__} works: pack {facts.get('pack')} on {facts.get('device')}")
    return 0


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, not yet listening; raise ``OSError`` where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    return listener


def announcement(settings: Settings, port: int, facts: Mapping[str, object]) -> str:
    """Return the one line about where the service is, what it runs, and who may call it."""
    from app.api.auth.keys import KeyRing  # noqa: PLC0415

    host = settings.server.host
    if settings.auth.mode == "off":
        callers = "open to everybody who can reach it (COMPAREFACE_AUTH__MODE=off)"
    elif settings.is_open:
        callers = "open, but on loopback only (no COMPAREFACE_AUTH__KEYS or COMPAREFACE_AUTH__KEYS_FILE)"
    else:
        callers = f"signatures required (SecretIds: {len(KeyRing(settings.auth).callers())})"
        if settings.auth.skip == "allow":
            callers += ", but not from who sends `Authorization: SKIP` (COMPAREFACE_AUTH__SKIP=allow)"
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pack = f"pack {facts.get('pack')}{' (chosen automatically)' if facts.get('pack_is_automatic') else ''}"
    notes = facts.get("calibration_notes")
    about = [f"{pack} on {facts.get('device')}", *(notes if isinstance(notes, list) else ()), callers]
    if settings.playground.enabled:
        about.append(f"playground at {address}/playground")
    return f"compareface {app.__version__} at {address}: {'; '.join(about)}"


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)
