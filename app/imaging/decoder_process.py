"""A process that turns file bytes into pixels, so that a picture which crashes or confuses a decoder ends this process
and not the service. Run as a script by :mod:`app.imaging.decoder_pool`; imports nothing of ours and knows no setting.

Bytes and pixels pass through memory shared with the service, the few numbers about them through standard input and
output. Ends with its input, and by ``SIGALRM`` in the middle of a picture whose time is up: a timer of the kernel
stops C code too, and needs nobody who watches.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOM_FOR_FILE = 4 * 2**20
ROOM_FOR_PIXELS = 4000 * 4000 * 3
"""Bytes; the largest JPEG. Of PNGs 2000 x 2000 with four channels of 16 bits take 32 MB."""
SIZE = ROOM_FOR_FILE + ROOM_FOR_PIXELS

REQUEST = struct.Struct("=Iid")
"""Bytes of the file, flags for ``cv2.imdecode``, seconds that it may take."""
REPLY = struct.Struct("=IIII")
"""Rows, columns, channels, bytes of one value; all zero where there is no picture."""
NO_PICTURE = (0, 0, 0, 0)
READY = b"R"


def decode(shared: NDArray[np.uint8], length: int, flags: int) -> tuple[int, int, int, int]:
    """Decode the file at the start of ``shared``, leave its pixels behind it, return a reply."""
    try:
        pixels = cv2.imdecode(shared[:length], flags)
    except cv2.error:
        return NO_PICTURE
    if pixels is None or pixels.nbytes > ROOM_FOR_PIXELS:
        return NO_PICTURE
    place = shared[ROOM_FOR_FILE : ROOM_FOR_FILE + pixels.nbytes]
    place.view(pixels.dtype).reshape(pixels.shape)[...] = pixels
    rows, columns, *channels = pixels.shape
    return rows, columns, channels[0] if channels else 1, pixels.itemsize


def main(shared_fd: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not write somebody's picture to disk
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # if all are told to end, the service still finishes its requests
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)
    shared = np.frombuffer(mmap.mmap(shared_fd, SIZE), dtype=np.uint8)
    os.close(shared_fd)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())  # libjpeg and libpng write there of each flaw of a file
    with suppress(ConnectionError):  # the service has gone
        _serve(shared)


def _serve(shared: NDArray[np.uint8]) -> None:
    os.write(sys.stdout.fileno(), READY)
    while request := os.read(sys.stdin.fileno(), REQUEST.size):
        length, flags, seconds = REQUEST.unpack(request)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        reply = decode(shared, length, flags)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(sys.stdout.fileno(), REPLY.pack(*reply))


if __name__ == "__main__":
    main(int(sys.argv[1]))
