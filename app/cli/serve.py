"""``compareface serve``: the HTTP service; ``--check`` sends one request through it in process and exits."""

import argparse
import asyncio
import gc
import signal
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

import app
from app.api.auth.keys import KeyRing
from app.asgi import OpenEngine, create_app, create_health_app
from app.engine import Engine
from app.environment import Settings, load_settings
from app.ops import logs, process
from app.server.config import create_server, listeners
from app.service.services import EngineInfo
from app.tools.models.preparing import prepare_best
from app.tools.self_test import NO_FACE, try_request


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve CompareFace over HTTP. `compareface config --help` lists the settings."
    parser.add_argument("--check", action="store_true", help="load the models, answer one test request, and exit")
    budget = "build missing weight files first; with the pack `auto`, wait at most SECONDS for the download of `omz`"
    parser.add_argument("--budget", type=float, metavar="SECONDS", help=budget)


def run(args: argparse.Namespace) -> int:
    process.disable_core_dumps()
    settings = load_settings()
    settings.check_may_serve(on_loopback=settings.server.is_loopback)
    # The request of --check is answered with an error, which would be logged.
    logs.configure("warning" if args.check else settings.log.level)
    if args.check:
        return asyncio.run(check(settings, Engine.open))
    # After a graceful shutdown uvicorn raises the signal again; an exception lets the engine close.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return asyncio.run(serve(settings, partial(_open_engine, args.budget)))


async def serve(settings: Settings, open_engine: OpenEngine) -> int:
    """Serve until a signal arrives. Ports, keys and certificate are checked before models are downloaded and loaded."""
    with listeners(settings.server) as sockets:
        application = create_app(settings, lambda _: nullcontext(engine))  # called when uvicorn starts, below
        server = create_server(settings, application, create_health_app(settings))
        async with open_engine(settings) as engine:
            KeyRing.open(settings.auth).restrict_populations(engine.info.populations)
            await asyncio.sleep(0)  # a pending Ctrl-C is raised here, where only the engine has to be closed
            gc.collect()
            gc.freeze()  # the collector would scan the loaded models again and again, 30 ms each time
            for listener in sockets:
                listener.listen()  # a client may connect as soon as the announcement is printed
            print(announcement(settings, sockets[0].getsockname()[1], engine.info), flush=True)
            await server.serve(sockets)
    return 0


async def check(settings: Settings, open_engine: OpenEngine) -> int:
    """Return 0 if the application answers an image without a face with the error for that."""
    async with open_engine(settings) as engine:
        outcome = await try_request(settings, engine)
    if outcome != NO_FACE:
        print(f"compareface: the check failed: an image without a face gave {outcome}", file=sys.stderr)
        return 1
    print(f"compareface {app.__version__} works: pack {engine.info.pack} on {engine.info.device}")
    return 0


def announcement(settings: Settings, port: int, info: EngineInfo) -> str:
    """Return one line with the URL, the pack, the device, the population and the access rules of the service."""
    host = settings.server.host
    scheme = "https" if settings.server.tls_cert else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    pack = f"pack {info.pack}{' (chosen automatically)' if info.pack_is_automatic else ''}"
    population = f"population {info.population}: {info.default_population_info.data}"
    details = [f"{pack} on {info.device}", population, *info.calibration_notes, _access_rules(settings)]
    if settings.playground.enabled:
        details.append(f"playground at {url}/playground")
    return f"compareface {app.__version__} at {url}: {'; '.join(details)}"


def _access_rules(settings: Settings) -> str:
    if settings.auth.mode == "off":
        return "signatures off: accepts every client that can reach it (COMPAREFACE_AUTH__MODE=off)"
    if settings.is_open:
        return "no keys: accepts requests from this machine only (COMPAREFACE_AUTH__KEYS, COMPAREFACE_AUTH__KEYS_FILE)"
    rule = f"signatures required (SecretIds: {len(KeyRing.open(settings.auth).callers())})"
    if settings.auth.skip == "allow":
        rule += ", except for requests with `Authorization: SKIP` (COMPAREFACE_AUTH__SKIP=allow)"
    return rule


def _open_engine(budget_s: float | None, settings: Settings) -> AbstractAsyncContextManager[Engine]:
    if budget_s:
        print(prepare_best(settings.models, budget_s))
    return Engine.open(settings)
