"""What it costs that pictures are decoded in processes of their own: CPU milliseconds per picture of both processes.

CPU time, since the wall clock of a busy machine tells how long a process waits for a core and little else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from app.imaging.decode import EncodedImage
from app.imaging.decoder_pool import DecoderPool
from app.ops.deadline import Deadline
from tests.support.images import astronaut, jpeg

_SIDES = ((250, 1), (800, 1), (1350, 2), (1350, 1), (3500, 4), (4000, 1))
"""Pixels of a square portrait, and by how much its sides are divided; 640 are enough unless quality is asked for."""
_RUNS = 40


def main() -> None:
    cv2.setNumThreads(1)
    with DecoderPool(1) as decoders:
        away = partial(decoders.decode, Deadline.after(600))
        print(f"{'pixels':>8}{'divided':>8}{'KB':>8}{'here':>8}{'away':>8}")
        for side, reduction in _SIDES:
            data = _portrait(side)
            here, there = (
                _milliseconds(partial(picture.pixels, reduction))
                for picture in (EncodedImage(data), EncodedImage(data, away))
            )
            print(f"{side:>8}{reduction:>8}{len(data) // 1024:>8}{here:>8.2f}{there:>8.2f}")
        lines = (_child() / "smaps_rollup").read_text().splitlines()
        own = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        print(f"memory that a decoder shares with no other process: {own // 1024} MB")


def _portrait(side: int) -> bytes:
    face = astronaut()[0:250, 100:350]
    return jpeg(np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8))


def _milliseconds(decode: Callable[[], object]) -> float:
    for _ in range(3):
        decode()
    before = _cpu_s()
    for _ in range(_RUNS):
        decode()
    return 1000 * (_cpu_s() - before) / _RUNS


def _cpu_s() -> float:
    """Seconds of this process and of the decoder."""
    return time.process_time() + int((_child() / "schedstat").read_text().split()[0]) / 1e9


def _child() -> Path:
    (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return Path("/proc") / child


if __name__ == "__main__":
    main()
