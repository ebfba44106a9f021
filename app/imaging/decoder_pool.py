"""Processes that decode pictures for the service (:mod:`app.imaging.decoder_process`), one per core.

In: file bytes and the flags of ``cv2.imdecode``. Out: its pixels. A process that dies costs the request whose picture
it had and is replaced; one that spins ends when that request's time is up. What lies in the shared memory is wiped
before the next picture comes. Raises ``ImageDecodeFailed`` and ``RequestTimeout``; ``OSError`` where no process runs.
"""

from __future__ import annotations

import logging
import mmap
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from app.errors import ApiError, ErrorCode
from app.imaging.decode import Pixels
from app.imaging.decoder_process import NO_PICTURE, READY, REPLY, REQUEST, ROOM_FOR_FILE, ROOM_FOR_PIXELS, SIZE
from app.ops.deadline import Deadline, DeadlineExceededError

_LOGGER = logging.getLogger(__name__)
_SCRIPT = str(Path(__file__).with_name("decoder_process.py"))
_STARTS = 3  # tries to get a process that lives; each takes a third of a second
_SHORTEST_S = 0.001  # zero would stop the timer
_SETTINGS = "COMPAREFACE_"
"""How names in the environment start that the processes do not get: keys are among them."""
_BOUNDS = {
    # More OpenCV itself refuses, should it read another size from a file than Pillow did.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(4000 * 4000),
    # Keep 16 MB from one picture to the next; getting them from the system each time takes as long as decoding.
    "MALLOC_TRIM_THRESHOLD_": str(2**24),
    "MALLOC_MMAP_THRESHOLD_": str(2**24),
}
"""What the processes get in the environment instead."""


class DecoderPool:
    """A context manager; threads that call :meth:`decode` while all processes are at work wait."""

    def __init__(self, processes: int, restarted: Callable[[], None] = lambda: None, cores: Sequence[int] = ()) -> None:
        """``restarted`` is called for every process that is replaced.

        ``cores``: the CPUs that processes keep to; a thread that keeps to one of them, too, is served there.
        """
        self._restarted = restarted
        places: Sequence[int | None] = cores or (None,)
        self._places = [places[number % len(places)] for number in range(processes)]
        self._idle: dict[int | None, queue.SimpleQueue[_Decoder]] = {each: queue.SimpleQueue() for each in self._places}

    def __enter__(self) -> Self:
        for place in self._places:
            self._idle[place].put(_Decoder.start(place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._places:
            self._idle[place].get().close()

    def decode(self, deadline: Deadline, data: bytes, flags: int) -> Pixels:
        """Return what ``cv2.imdecode`` makes of ``data``; raise ``ApiError`` where that is no picture."""
        idle = self._near()
        try:
            decoder = idle.get(timeout=deadline.remaining())
        except queue.Empty as error:
            raise DeadlineExceededError from error
        try:
            for _ in range(_STARTS):
                if decoder.is_ready():
                    return decoder.decode(deadline, data, flags)
                decoder = self._replaced(decoder)  # no picture is to blame: the system was short of memory, perhaps
            raise OSError(f"a decoder ended {_STARTS} times before it had anything to do")
        finally:
            if decoder.has_ended:
                with suppress(OSError):  # the next picture tries again
                    decoder = self._replaced(decoder)
            idle.put(decoder)

    def _near(self) -> queue.SimpleQueue[_Decoder]:
        """Return the processes on the core that the calling thread keeps to, else those of which most are idle."""
        if len(self._idle) > 1 and len(own := os.sched_getaffinity(0)) == 1 and own <= self._idle.keys():
            return self._idle[own.pop()]
        return max(self._idle.values(), key=queue.SimpleQueue.qsize)

    def _replaced(self, decoder: _Decoder) -> _Decoder:
        fresh = decoder.replaced()
        self._restarted()
        return fresh


class _Decoder:
    """One process, the line to it, and the memory shared with it."""

    def __init__(
        self, process: subprocess.Popen[bytes], line: socket.socket, memory: mmap.mmap, core: int | None
    ) -> None:
        self._process = process
        self._core = core
        self._line = line
        self._memory = memory
        self._is_ready = False

    @classmethod
    def start(cls, core: int | None = None) -> _Decoder:
        """Start a process, on ``core`` alone if there is one; it is ready in a third of a second, but nobody waits."""
        line, its_line = socket.socketpair()
        shared = os.memfd_create("picture")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        try:
            os.ftruncate(shared, SIZE)
            memory = mmap.mmap(shared, SIZE)
            process = subprocess.Popen(  # noqa: S603 - our interpreter, our script
                [sys.executable, "-P", _SCRIPT, str(shared)],
                stdin=its_line.fileno(),
                stdout=its_line.fileno(),
                pass_fds=(shared,),
                env=environment | _BOUNDS,
                process_group=0,  # Ctrl-C is for the service, which finishes what it has accepted
            )
        except OSError:
            line.close()
            raise
        finally:
            os.close(shared)
            its_line.close()
        if core is not None:
            with suppress(OSError):
                os.sched_setaffinity(process.pid, {core})
        return cls(process, line, memory, core)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def is_ready(self) -> bool:
        """Wait until it can take a picture, or has ended."""
        if not self._is_ready and self._told(len(READY)) != READY:
            self._process.wait()
        self._is_ready = not self.has_ended
        return self._is_ready

    def replaced(self) -> _Decoder:
        fresh = self.start(self._core)
        self.close()
        return fresh

    def close(self) -> None:
        """End the process, which is idle or dead."""
        self._line.close()
        self._process.wait()
        self._memory.close()

    def decode(self, deadline: Deadline, data: bytes, flags: int) -> Pixels:
        """Have the file decoded; the process is ready."""
        deadline.check()
        self._memory[: len(data)] = data
        with suppress(ConnectionError):
            self._line.sendall(REQUEST.pack(len(data), flags, max(deadline.remaining(), _SHORTEST_S)))
        reply = self._told(REPLY.size)
        try:
            return self._pixels(reply)
        finally:
            self._memory[: len(data)] = bytes(len(data))

    def _told(self, length: int) -> bytes:
        """Return what the process says; nothing, if it ends instead."""
        try:
            return self._line.recv(length)
        except ConnectionError:
            return b""

    def _pixels(self, reply: bytes) -> Pixels:
        if len(reply) < REPLY.size:
            raise self._death()
        rows, columns, channels, depth = REPLY.unpack(reply)
        count = rows * columns * channels
        if (rows, columns, channels, depth) == NO_PICTURE or depth not in {1, 2} or count * depth > ROOM_FOR_PIXELS:
            raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
        place = np.frombuffer(self._memory, np.uint8 if depth == 1 else np.uint16, count, ROOM_FOR_FILE)
        pixels = place.reshape((rows, columns, channels) if channels > 1 else (rows, columns)).copy()
        place[:] = 0
        return pixels

    def _death(self) -> ApiError | DeadlineExceededError:
        status = self._process.wait()
        if status == -signal.SIGALRM:
            return DeadlineExceededError()
        _LOGGER.warning("a decoder died of a picture", extra={"fields": {"exit_status": status}})
        return ApiError(ErrorCode.IMAGE_DECODE_FAILED)
