"""The channel between the supervisor and one server process: a pair of Unix sockets that keep message boundaries.

The supervisor sends accepted connections, each with the index of its listener. The process first sends its
announcement, which means that it is ready. It then reports its load whenever it changes, and every
``REPORT_INTERVAL_S`` seconds. A closed channel means that no further connection follows.
"""

import socket
import struct
from typing import NamedTuple

REPORT_INTERVAL_S = 1.0

_MAX_ANNOUNCEMENT_BYTES = 16 * 1024
_LOAD = struct.Struct("=QI?")


class LostConnectionError(OSError):
    """The process has no file descriptor left for a connection, so the kernel has closed it."""


class Load(NamedTuple):
    """The connections that a server process has received since its start, and those that are open now.

    ``is_stopping``: whether the process is shutting down.
    """

    received: int
    open: int
    is_stopping: bool


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the supervisor's end, which does not block, and the end of the server process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def send_connection(channel: socket.socket, listener: int, connection: socket.socket) -> None:
    """Pass ``connection`` on; raise ``OSError`` if the process has exited or its queue is full."""
    socket.send_fds(channel, [bytes([listener])], [connection.fileno()])


def receive_connection(channel: socket.socket) -> tuple[int, socket.socket] | None:
    """Return the next connection and the index of its listener, or None if the supervisor sends no more.

    Raises ``BlockingIOError`` if none is there yet, and ``LostConnectionError``.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if data and not descriptors:
        raise LostConnectionError
    return (data[0], socket.socket(fileno=descriptors[0])) if data else None


def send_announcement(channel: socket.socket, text: str) -> None:
    """Report that the process is ready; raise ``OSError`` if the supervisor has exited."""
    channel.send(text.encode())


def receive_announcement(channel: socket.socket) -> str | None:
    """Return the announcement, or None if the process has exited; raise ``BlockingIOError`` if it is not there yet."""
    return channel.recv(_MAX_ANNOUNCEMENT_BYTES).decode() or None


def send_load(channel: socket.socket, load: Load) -> None:
    """Report the load; raise ``OSError`` if the supervisor has exited or its queue is full."""
    channel.send(_LOAD.pack(*load))


def receive_load(channel: socket.socket) -> Load | None:
    """Return the next load, or None if the process has exited; raise ``BlockingIOError`` if none is there yet."""
    data = channel.recv(_LOAD.size)
    return Load(*_LOAD.unpack(data)) if data else None
