"""``compareface serve``: the HTTP service; ``--check`` sends one request through it in process and exits."""

import argparse
import asyncio
import ctypes
import gc
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from ctypes import Array
from functools import partial
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory

import numpy as np

import app
from app.api.auth.keys import KeyRing
from app.api.gateway import EngineLike
from app.api.rate_limit import BYTES_PER_PROCESS, RateLimiter
from app.asgi import OpenEngine, check_settings, create_app, create_health_app
from app.cli import exit_code
from app.engine import Engine
from app.environment import Settings, load_settings
from app.ops import logs, metrics, process
from app.runtime.worker_pool import available_cores, process_count
from app.server.certificate import Certificate
from app.server.config import ServerConfig, listeners, log_connection_limit, server_configs
from app.server.server import Server
from app.server.supervised import SupervisedServer
from app.server.supervisor import Supervisor
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
    _exit_at_sigterm()
    return asyncio.run(serve(settings, Engine.open, partial(_prepare, settings, args.budget)))


async def serve(settings: Settings, open_engine: OpenEngine, prepare: Callable[[], None] = lambda: None) -> int:
    """Serve until a signal arrives. Ports and settings are checked before ``prepare`` and the models.

    ``open_engine`` is pickled if there are several processes.
    """
    cores = settings.runtime.threads or available_cores()
    processes = settings.server.workers or process_count(cores, settings.runtime.device)
    settings = settings.for_each_of(processes, cores)
    with listeners(settings.server) as sockets:
        _check_startup(settings)
        log_connection_limit(settings, processes)
        prepare()
        if processes > 1:
            return await _serve_by_processes(settings, open_engine, processes, sockets)
        async with open_engine(settings) as engine:
            configs = _configs(settings, engine)
            await _prepare_to_serve(settings, engine.info)
            for listener in sockets:
                listener.listen()  # a client may connect as soon as the announcement is printed
            print(announcement(settings, sockets[0].getsockname()[1], engine.info), flush=True)
            await Server(configs, settings.server.readiness_delay_s).serve(sockets)
    return 0


def _check_startup(settings: Settings) -> None:
    """Raise ``SettingsError`` if the server could not start with its keys, traces or certificate; keep nothing open."""
    check_settings(settings)
    Certificate.open(settings.server)


async def _serve_by_processes(
    settings: Settings, open_engine: OpenEngine, processes: int, sockets: Sequence[socket.socket]
) -> int:
    """Serve by several processes, each with ``settings``."""
    context = multiprocessing.get_context("spawn")
    counts = context.RawArray(ctypes.c_uint8, processes * BYTES_PER_PROCESS)
    port = sockets[0].getsockname()[1]

    def start(row: int, channel: socket.socket) -> BaseProcess:
        server_process = context.Process(
            target=serve_process, args=(settings, open_engine, channel, port, counts, row), daemon=True
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, until `serve_process`
        try:
            server_process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return server_process

    with TemporaryDirectory(prefix="compareface-metrics-") as folder:
        os.environ[metrics.FOLDER_VARIABLE] = folder
        supervisor = Supervisor(
            sockets, start, processes, settings.server.readiness_delay_s, on_exit=metrics.remove_process
        )
        return await supervisor.run(lambda text: print(f"{text}; {processes} server processes", flush=True))


def serve_process(
    settings: Settings,
    open_engine: OpenEngine,
    channel: socket.socket,
    port: int,
    counts: "Array[ctypes.c_uint8]",
    row: int,
) -> None:
    """Run one of several server processes; ``counts`` and ``row``: see ``RateLimiter``."""
    os.setpgid(0, 0)  # Ctrl-C must reach only the supervisor
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    process.disable_core_dumps()
    logs.configure(settings.log.level)
    _exit_at_sigterm()

    def run() -> int:
        metrics.add_process(row)
        rate_limiter = RateLimiter(np.frombuffer(memoryview(counts), np.uint8), row)
        return asyncio.run(_serve_process(settings, open_engine, channel, port, rate_limiter))

    sys.exit(exit_code(run))


async def _serve_process(
    settings: Settings, open_engine: OpenEngine, channel: socket.socket, port: int, rate_limiter: RateLimiter
) -> int:
    async with open_engine(settings) as engine:
        configs = _configs(settings, engine, rate_limiter)
        await _prepare_to_serve(settings, engine.info)
        await SupervisedServer(configs, channel, announcement(settings, port, engine.info)).serve([])
    return 0


def _configs(settings: Settings, engine: EngineLike, rate_limiter: RateLimiter | None = None) -> Sequence[ServerConfig]:
    """Return the configuration of each listener."""
    application = create_app(settings, lambda _: nullcontext(engine), rate_limiter)
    return server_configs(settings, application, create_health_app(settings))


async def _prepare_to_serve(settings: Settings, info: EngineInfo) -> None:
    """Check the populations of callers; freeze the objects that live as long as the process."""
    KeyRing.open(settings.auth).restrict_populations(info.populations)
    await asyncio.sleep(0)  # a pending Ctrl-C is raised here, where only the engine has to be closed
    gc.collect()
    gc.freeze()  # the collector would scan the loaded models again and again, 30 ms each time


def _exit_at_sigterm() -> None:
    # After a graceful shutdown uvicorn raises the signal again; an exception lets the engine close.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


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
    table = info.default_population_info
    status = "" if table.status == "measured" else f" ({table.status})"
    population = f"population {info.population}{status}: {table.data}"
    details = [f"{pack} on {info.device}", population, *info.calibration_notes, _access_rules(settings)]
    if settings.playground.enabled:
        details.append(f"playground at {url}/playground")
    return f"compareface {app.__version__} at {url}: {'; '.join(details)}"


def _access_rules(settings: Settings) -> str:
    if settings.auth.mode == "off":
        return "signatures off: accepts every client that can reach it (COMPAREFACE_AUTH__MODE=off)"
    if settings.is_open:
        return "no keys: accepts requests from this machine only (COMPAREFACE_AUTH__KEYS, COMPAREFACE_AUTH__KEYS_FILE)"
    callers = KeyRing.open(settings.auth).callers()
    keys = sum(len(caller.keys) for caller in callers.values())
    rule = f"signatures required (SecretIds: {len(callers)}, keys: {keys})"
    if settings.auth.skip == "allow":
        rule += ", except for requests with `Authorization: SKIP` (COMPAREFACE_AUTH__SKIP=allow)"
    return rule


def _prepare(settings: Settings, budget_s: float | None) -> None:
    if budget_s:
        print(prepare_best(settings.models, budget_s))
