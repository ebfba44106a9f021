"""Decoder process: an image that crashes its decoder ends this process instead of the service.

Run as a script by :mod:`app.imaging.decoder_pool`; imports no module of ``app`` and reads no setting. Encoded image and
pixels pass through memory shared with the service, requests and replies through standard input and output. The process
exits at the end of its input. A kernel timer (``SIGALRM``) ends it if an image exceeds its time, even inside C code.
"""

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

MAX_FILE_BYTES = 4 * 2**20
MAX_PIXEL_BYTES = 4000 * 4000 * 3
"""The largest JPEG. The largest PNG, 2000 x 2000 with four channels of 16 bits, takes 32 MB."""
SHARED_BYTES = MAX_FILE_BYTES + MAX_PIXEL_BYTES
"""Size of the shared memory: the encoded image at its start, the pixels from ``MAX_FILE_BYTES``."""

REQUEST = struct.Struct("=Iid")
"""Bytes of the encoded image, flags of ``cv2.imdecode``, time limit in seconds."""
REPLY = struct.Struct("=IIII")
"""Rows, columns, channels, bytes per value."""
NOT_DECODED = (0, 0, 0, 0)
"""Reply for data that is not an image."""
READY = b"R"


def decode(shared: NDArray[np.uint8], length: int, flags: int) -> tuple[int, int, int, int]:
    """Decode the first ``length`` bytes of ``shared``, write the pixels to it, return the reply."""
    try:
        pixels = cv2.imdecode(shared[:length], flags)
    except cv2.error:
        return NOT_DECODED
    if pixels is None or pixels.nbytes > MAX_PIXEL_BYTES:
        return NOT_DECODED
    output = shared[MAX_FILE_BYTES : MAX_FILE_BYTES + pixels.nbytes]
    output.view(pixels.dtype).reshape(pixels.shape)[...] = pixels
    rows, columns, *channels = pixels.shape
    return rows, columns, channels[0] if channels else 1, pixels.itemsize


def main(shared_fd: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would write the image to disk
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all processes, it must not abort requests of the service
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)
    shared = np.frombuffer(mmap.mmap(shared_fd, SHARED_BYTES), dtype=np.uint8)
    os.close(shared_fd)
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), sys.stderr.fileno())  # libjpeg and libpng write there about damaged files
    with suppress(ConnectionError):  # the service has exited
        os.write(sys.stdout.fileno(), READY)
        while request := os.read(sys.stdin.fileno(), REQUEST.size):
            length, flags, seconds = REQUEST.unpack(request)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            reply = decode(shared, length, flags)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.write(sys.stdout.fileno(), REPLY.pack(*reply))


if __name__ == "__main__":
    main(int(sys.argv[1]))
