"""The socket and the uvicorn configuration of ``compareface serve``."""

import errno
import socket

import uvicorn
from fastapi import FastAPI

from app.environment import Settings
from app.imaging.decoder_pool import FILES_PER_PROCESS
from app.ops.process import raise_open_file_limit
from app.runtime.worker_pool import available_cores
from app.server.connection import ConnectionLimits, protocol_factory
from app.server.server import ACCEPT_BATCH, MAX_EXCESS_CONNECTIONS

MAX_HEADER_BYTES = 64 * 1024  # the request line of a GET request may take 34 KB
_OTHER_PORT = ". Select another port: COMPAREFACE_SERVER__PORT=9000 (make serve PORT=9000)"
_RESERVED_FILES = 32  # for models, keys and logs


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
        text = f"{error.strerror}{_OTHER_PORT if error.errno in (errno.EADDRINUSE, errno.EACCES) else ''}"
        raise OSError(error.errno, text, f"{host}:{port}") from error
    return listener


def server_config(settings: Settings, application: FastAPI) -> uvicorn.Config:
    """Return the uvicorn configuration; raise the limit of open files if the connections need it."""
    limits = settings.limits
    # A request may fetch two images by URL. Excess connections are open for a moment before they are closed.
    decoder_files = FILES_PER_PROCESS * (settings.runtime.threads or available_cores())
    other_files = 2 * limits.max_in_flight + MAX_EXCESS_CONNECTIONS + decoder_files + _RESERVED_FILES
    allowed_files = raise_open_file_limit(limits.max_connections + other_files)
    max_connections = max(1, min(limits.max_connections, allowed_files - other_files))
    return uvicorn.Config(
        application,
        http=protocol_factory(
            ConnectionLimits(max_connections, limits.header_timeout_s, limits.keep_alive_s, limits.deadline_s)
        ),
        ws="none",
        lifespan="on",
        backlog=ACCEPT_BATCH,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=settings.server.drain_s,
        server_header=False,
        access_log=False,
        log_config=None,
    )
