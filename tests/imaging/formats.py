"""What becomes of each file of ../shared/data/formats, and what that costs. In ``formats.toml`` stands what should.

As a program it prints that file anew from what the code does; look at every line that changes.
"""

from __future__ import annotations

import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import cv2

from app.errors import ApiError
from app.imaging.decode import EncodedImage

ROOT = Path(__file__).resolve().parents[3] / "shared" / "data" / "formats"
ANSWERS: dict[str, str] = tomllib.loads(Path(__file__).with_name("formats.toml").read_text(encoding="utf-8"))
"""Path below ROOT -> width x height, or an error."""


class Cost(NamedTuple):
    """Of one file: how it was answered, seconds of a core, and bytes of memory at most, over what there was before."""

    answer: str
    seconds: float
    memory: int


def files() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*") if path.is_file())


def answer(data: bytes) -> str:
    try:
        height, width = EncodedImage(data).pixels().shape[:2]
    except ApiError as error:
        return error.code.value.rpartition(".")[2]
    return f"{width} x {height}"


def cost(data: bytes) -> Cost:
    """Measure in a process of its own: the peak of memory is the process's."""
    cv2.setNumThreads(1)
    Path("/proc/self/clear_refs").write_text("5")  # forget the last peak
    before, started = _memory("VmRSS"), time.process_time()
    found = answer(data)
    return Cost(found, time.process_time() - started, _memory("VmHWM") - before)


def _memory(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    for path in files():
        sys.stdout.write(f'"{path.relative_to(ROOT)}" = "{answer(path.read_bytes())}"\n')
