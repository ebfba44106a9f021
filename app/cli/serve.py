"""``compareface serve``: the HTTP service; ``--check`` sends one request through it in process and exits."""

import argparse
import asyncio
import gc
import signal
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

import app
from app.asgi import OpenEngine, create_app
from app.engine import Engine
from app.environment import Settings, load_settings
from app.ops import logs, process
from app.server.server import Server
from app.tools.models.preparing import prepare_best
from app.tools.self_test import NO_FACE, try_request
from app.tools.serving import announcement, bind, server_config


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve CompareFace over HTTP. `compareface config --help` lists the settings."
    parser.add_argument("--check", action="store_true", help="open the engine, send one request in process, and exit")
    budget = "build missing weight files; with the pack `auto`, also wait at most SECONDS for the download of `omz`"
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
    """Serve until a signal arrives. The port and the key file are checked before models are downloaded and loaded."""
    with bind(settings.server.host, settings.server.port) as listener:
        application = create_app(settings, lambda _: nullcontext(engine))
        async with open_engine(settings) as engine:
            await asyncio.sleep(0)  # a pending Ctrl-C is raised here, where only the engine has to be closed
            gc.collect()
            gc.freeze()  # the collector would scan the loaded models again and again, 30 ms each time
            server = Server(server_config(settings, application), settings.server.readiness_delay_s)
            listener.listen()  # a client may connect as soon as the announcement is printed
            print(announcement(settings, listener.getsockname()[1], engine.facts()), flush=True)
            await server.serve([listener])
    return 0


async def check(settings: Settings, open_engine: OpenEngine) -> int:
    """Return 0 if the application answers an image without a face with the error for that."""
    async with open_engine(settings) as engine:
        outcome = await try_request(settings, engine)
        facts = engine.facts()
    if outcome != NO_FACE:
        print(f"compareface: the check failed: an image without a face gave {outcome}", file=sys.stderr)
        return 1
    print(f"compareface {app.__version__} works: pack {facts.get('pack')} on {facts.get('device')}")
    return 0


def _open_engine(budget_s: float | None, settings: Settings) -> AbstractAsyncContextManager[Engine]:
    if budget_s:
        print(prepare_best(settings.models, budget_s))
    return Engine.open(settings)
