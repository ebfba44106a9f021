"""Decode the files of ../shared/data/formats and measure time and memory; ``formats.toml`` has the expected outcomes.

As a program it prints ``formats.toml`` from the current outcomes; review every changed line.
"""

import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import cv2

from app.errors import ApiError
from app.imaging.decode import EncodedImage
from benchmarks import SHARED

ROOT = SHARED / "data" / "formats"
EXPECTED: dict[str, str] = tomllib.loads(Path(__file__).with_name("formats.toml").read_text(encoding="utf-8"))
"""Path below ROOT -> width x height, or an error code."""


class Cost(NamedTuple):
    """Outcome of one file, CPU seconds, and the increase of the memory peak in bytes."""

    outcome: str
    seconds: float
    memory: int


def files() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*") if path.is_file())


def outcome(data: bytes) -> str:
    """Return the decoded size or the error code of ``data``."""
    try:
        height, width = EncodedImage(data).pixels().shape[:2]
    except ApiError as error:
        return error.code.value.rpartition(".")[2]
    return f"{width} x {height}"


def cost(data: bytes) -> Cost:
    """Measure the cost of ``data``; run it in a separate process, because the memory peak is per process."""
    cv2.setNumThreads(1)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before, started = _memory("VmRSS"), time.process_time()
    decoded = outcome(data)
    return Cost(decoded, time.process_time() - started, _memory("VmHWM") - before)


def _memory(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    for path in files():
        sys.stdout.write(f'"{path.relative_to(ROOT)}" = "{outcome(path.read_bytes())}"\n')
