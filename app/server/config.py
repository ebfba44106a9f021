"""The sockets and the uvicorn server of ``compareface serve``."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeAlias, cast

import uvicorn
from starlette.types import ASGIApp

from app.environment import Settings
from app.imaging.decoder_pool import FILES_PER_PROCESS
from app.ops.process import raise_open_file_limit
from app.runtime.worker_pool import available_cores
from app.server.certificate import Certificate
from app.server.connection import Connection, ConnectionGroup, ConnectionLimits
from app.server.handshake import TlsHandshake
from app.server.server import ACCEPT_BATCH, MAX_EXCESS_CONNECTIONS
from app.settings import ServerSettings

ServerConfig: TypeAlias = uvicorn.Config
"""The configuration of one listener."""

MAX_HEADER_BYTES = 64 * 1024  # the request line of a GET request may take 34 KB
_OTHER_PORT = "Select another port: COMPAREFACE_SERVER__PORT=9000 (make serve PORT=9000)"
_OTHER_HOST = "COMPAREFACE_SERVER__HOST must be an address of this machine"
_RESERVED_FILES = 32  # for models, keys and logs

_log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, not yet listening; raise ``OSError`` if the address cannot be used."""
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
        hint = _OTHER_PORT if error.errno in (errno.EADDRINUSE, errno.EACCES) else _OTHER_HOST
        text = f"{error.strerror}. {hint}"
        raise OSError(error.errno, text, f"{host}:{port}") from error
    return listener


@contextmanager
def listeners(settings: ServerSettings) -> Iterator[list[socket.socket]]:
    """Yield the bound sockets of a server: the main port, then the health port if there is one."""
    ports = [settings.port, *([settings.health_port] if settings.health_port else [])]
    with ExitStack() as stack:
        yield [stack.enter_context(bind(settings.host, port)) for port in ports]


def server_configs(settings: Settings, application: ASGIApp, health_application: ASGIApp) -> list[ServerConfig]:
    """Return the configuration for each of :func:`listeners`; raise the limit of open files if they need it.

    Raises ``SettingsError`` if the certificate cannot be used.
    """
    group = ConnectionGroup(_connection_limits(settings))
    certificate, drain_s = Certificate.open(settings.server), settings.server.drain_s
    configs = [uvicorn_config(application, protocol_factory(group, certificate), drain_s)]
    if settings.server.health_port is not None:
        configs.append(uvicorn_config(health_application, protocol_factory(group), drain_s))
    return configs


def log_connection_limit(settings: Settings, processes: int) -> None:
    """Warn if the system allows fewer connections than the settings, which are those of each of ``processes``."""
    configured, allowed = settings.limits.max_connections, _connection_limits(settings).max_connections
    if allowed < configured:
        _log.warning(
            "the limit of open files allows fewer connections than COMPAREFACE_LIMITS__MAX_CONNECTIONS: raise it, for "
            "example with `ulimit -n`",
            extra={"fields": {"connections": processes * allowed, "configured": processes * configured}},
        )


def protocol_factory(
    group: ConnectionGroup, certificate: Certificate | None = None
) -> Callable[..., asyncio.BaseProtocol]:
    """Return a callable that creates the protocol of one connection; ``certificate``: None is plain http."""
    if certificate:
        return partial(TlsHandshake, certificate, group)
    return partial(Connection, group)


def uvicorn_config(
    application: ASGIApp, create_protocol: Callable[..., asyncio.BaseProtocol], drain_s: int
) -> ServerConfig:
    """Return the configuration of one port."""
    return uvicorn.Config(
        application,
        http=cast("type[asyncio.Protocol]", create_protocol),
        ws="none",
        lifespan="on",
        backlog=ACCEPT_BATCH,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=drain_s,
        server_header=False,
        access_log=False,
        log_config=None,
    )


def _connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits, with fewer connections if the system allows fewer open files."""
    limits = settings.limits
    # A request may fetch two images by URL. Excess connections are open for a moment before they are closed.
    decoder_files = FILES_PER_PROCESS * (settings.runtime.threads or available_cores())
    other_files = 2 * limits.max_in_flight + MAX_EXCESS_CONNECTIONS + decoder_files + _RESERVED_FILES
    allowed_files = raise_open_file_limit(limits.max_connections + other_files)
    max_connections = max(1, min(limits.max_connections, allowed_files - other_files))
    return ConnectionLimits(max_connections, limits.header_timeout_s, limits.keep_alive_s, limits.deadline_s)
