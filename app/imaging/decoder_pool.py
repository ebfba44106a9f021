"""A pool of decoder processes (:mod:`app.imaging.decoder_process`), usually one per core.

An image that crashes its process fails one request; the process is replaced. An image that occupies its process is
stopped at the deadline of its request. The shared memory is cleared after every image. Raises ``ImageDecodeFailed``,
``DeadlineExceededError``, and ``OSError`` if no process can be started.
"""

import logging
import mmap
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Self

import numpy as np

from app.errors import ApiError, ErrorCode
from app.imaging.decode import Pixels
from app.imaging.decoder_process import (
    MAX_FILE_BYTES,
    MAX_PIXEL_BYTES,
    NOT_DECODED,
    READY,
    REPLY,
    REQUEST,
    SHARED_BYTES,
)
from app.ops.deadline import Deadline, DeadlineExceededError

_log = logging.getLogger(__name__)
_SCRIPT = str(Path(__file__).with_name("decoder_process.py"))
_MAX_STARTS = 3  # attempts to get a running process; a start takes a third of a second
_MIN_TIME_S = 0.001  # zero would disarm the timer
_SETTINGS_PREFIX = "COMPAREFACE_"
"""Environment variables with this prefix are hidden from the processes, because some hold secret keys."""
_ENVIRONMENT = {
    # OpenCV itself rejects larger images, in case it reads another size from a file than Pillow.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(4000 * 4000),
    # Keep 16 MB of freed memory: allocating it from the system for each image takes as long as decoding.
    "MALLOC_TRIM_THRESHOLD_": str(2**24),
    "MALLOC_MMAP_THRESHOLD_": str(2**24),
}
"""Environment variables that are set for the processes."""


FILES_PER_PROCESS = 3
"""Open files of the service for each process: two pipes and the shared memory."""


class DecoderPool:
    """A context manager; :meth:`decode` blocks while all processes are busy."""

    def __init__(self, processes: int, on_restart: Callable[[], None] = lambda: None, cpus: Sequence[int] = ()) -> None:
        """``on_restart`` is called for every process that is replaced.

        ``cpus``: the CPUs to which the processes are pinned; a thread pinned to one of them uses its process.
        """
        self._on_restart = on_restart
        self._cpus: list[int | None] = list(islice(cycle(cpus or (None,)), processes))
        self._idle: dict[int | None, queue.SimpleQueue[_Process]] = {cpu: queue.SimpleQueue() for cpu in self._cpus}

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for cpu in self._cpus:
                process = _Process.start(cpu)
                started.callback(process.close)
                self._idle[cpu].put(process)
            started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for cpu in self._cpus:
            self._idle[cpu].get().close()

    def decode(self, deadline: Deadline, data: bytes, flags: int) -> Pixels:
        """Return ``cv2.imdecode`` of ``data``; raise ``ApiError`` if it is not an image."""
        idle = self._nearest_idle()
        try:
            process = idle.get(timeout=deadline.remaining())
        except queue.Empty as error:
            raise DeadlineExceededError from error
        try:
            for _ in range(_MAX_STARTS):
                if process.wait_until_ready():
                    return process.decode(deadline, data, flags)
                process = self._replace(process)  # it exited before it got an image, perhaps for lack of memory
            raise OSError(f"decoder process exited {_MAX_STARTS} times before it was ready")
        finally:
            if process.has_exited:
                with suppress(OSError):  # the next image tries again
                    process = self._replace(process)
            idle.put(process)

    def _nearest_idle(self) -> queue.SimpleQueue["_Process"]:
        """Return the idle processes of the CPU to which the calling thread is pinned, else the longest queue."""
        if len(self._idle) > 1 and len(affinity := os.sched_getaffinity(0)) == 1 and affinity <= self._idle.keys():
            return self._idle[affinity.pop()]
        return max(self._idle.values(), key=queue.SimpleQueue.qsize)

    def _replace(self, process: "_Process") -> "_Process":
        replacement = _Process.start(process.cpu)
        process.close()
        self._on_restart()
        return replacement


@dataclass(eq=False, slots=True)
class _Process:
    """A decoder process and the memory shared with it; ``cpu``: the CPU to which the process is pinned."""

    popen: subprocess.Popen[bytes]
    memory: mmap.mmap
    cpu: int | None
    is_ready: bool = False

    @classmethod
    def start(cls, cpu: int | None) -> Self:
        """Start a process. It becomes ready in the background."""
        shared_fd = os.memfd_create("image")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS_PREFIX)}
        try:
            os.ftruncate(shared_fd, SHARED_BYTES)
            memory = mmap.mmap(shared_fd, SHARED_BYTES)
            popen = subprocess.Popen(  # noqa: S603 - our interpreter, our script
                [sys.executable, "-P", _SCRIPT, str(shared_fd)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(shared_fd,),
                env=environment | _ENVIRONMENT,
                process_group=0,  # Ctrl-C must reach only the service, which completes the accepted requests
            )
        finally:
            os.close(shared_fd)
        if cpu is not None:
            with suppress(OSError):
                os.sched_setaffinity(popen.pid, {cpu})
        return cls(popen, memory, cpu)

    @property
    def has_exited(self) -> bool:
        return self.popen.poll() is not None

    def wait_until_ready(self) -> bool:
        """Wait until the process accepts an image; return False if it has exited instead."""
        if not self.is_ready and self._read(len(READY)) != READY:
            self.popen.wait()
        self.is_ready = not self.has_exited
        return self.is_ready

    def close(self) -> None:
        """End the process, which must be idle or have exited."""
        self.popen.communicate()
        self.memory.close()

    def decode(self, deadline: Deadline, data: bytes, flags: int) -> Pixels:
        """Decode ``data``; the process must be ready."""
        deadline.check()
        self.memory[: len(data)] = data
        request = REQUEST.pack(len(data), flags, max(deadline.remaining(), _MIN_TIME_S))
        try:
            with suppress(BrokenPipeError):
                self.popen.stdin.write(request)  # type: ignore[union-attr] # a pipe
            return self._take_pixels(self._read(REPLY.size))
        finally:
            self.memory[: len(data)] = bytes(len(data))

    def _read(self, length: int) -> bytes:
        """Return the next ``length`` bytes of the process, or fewer if it exits instead."""
        return self.popen.stdout.read(length)  # type: ignore[union-attr] # a pipe

    def _take_pixels(self, reply: bytes) -> Pixels:
        """Copy the pixels out of the shared memory and clear them. The process may be compromised: check its reply."""
        if len(reply) < REPLY.size:
            raise self._exit_error()
        rows, columns, channels, depth = REPLY.unpack(reply)
        count = rows * columns * channels
        if (rows, columns, channels, depth) == NOT_DECODED or depth not in {1, 2} or count * depth > MAX_PIXEL_BYTES:
            raise ApiError(ErrorCode.IMAGE_DECODE_FAILED)
        output = np.frombuffer(self.memory, np.uint8 if depth == 1 else np.uint16, count, MAX_FILE_BYTES)
        pixels = output.reshape((rows, columns, channels) if channels > 1 else (rows, columns)).copy()
        output[:] = 0
        return pixels

    def _exit_error(self) -> ApiError | DeadlineExceededError:
        status = self.popen.wait()
        if status == -signal.SIGALRM:
            return DeadlineExceededError()
        _log.warning("decoder process crashed while decoding an image", extra={"fields": {"exit_status": status}})
        return ApiError(ErrorCode.IMAGE_DECODE_FAILED)
