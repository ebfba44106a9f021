"""Distinct images per second of ``compareface batch``, compared with the engine of one process at full load.

``python -m benchmarks.batch [IMAGES]`` uses images of LFW (``../shared``) and one pack. Each round measures the engine,
then the batch, and gives one ratio. The duration of the batch includes process start and writing.
"""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from app.domain import CompareOptions, ImageRef
from app.engine import Engine
from app.environment import load_settings
from app.errors import ApiError
from app.ops.stage_timer import StageTimer
from benchmarks import SHARED
from tests.support.server import PACK

_ROUNDS = 5
_CALLERS = 8
_DEADLINE_S = 60.0


def main(number: int = 2000) -> None:
    os.environ["COMPAREFACE_MODELS__PACK"] = PACK
    files = sorted((SHARED / "data/lfw").glob("*/*.jpg"))[: number - number % 2]
    print(f"pack {PACK}, {len(files)} images, {_ROUNDS} rounds; images per second")
    ratios = []
    for _ in range(_ROUNDS):
        engine, batch = asyncio.run(engine_rate(files)), batch_rate(files)
        ratios.append(batch / engine)
        print(f"engine {engine:7.1f}   batch {batch:7.1f}   ratio {ratios[-1]:.2f}")
    print(f"median ratio {median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")


async def engine_rate(files: Sequence[Path]) -> float:
    """Return the images per second of comparisons by concurrent callers, without opening the engine."""
    references = [ImageRef(base64=base64.b64encode(file.read_bytes()).decode("ascii")) for file in files]
    pairs = zip(references[::2], references[1::2], strict=True)
    async with Engine.open(load_settings()) as engine:

        async def call() -> None:
            for a, b in pairs:  # shared by all callers
                try:
                    await engine.services.compare(a, b, CompareOptions(), StageTimer.after(_DEADLINE_S))
                except ApiError:
                    continue  # an image without a face was processed, too

        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(_CALLERS)))
        return len(files) / (time.perf_counter() - started)


def batch_rate(files: Sequence[Path]) -> float:
    """Return the images per second of the whole command."""
    with TemporaryDirectory() as folder:
        pairs = Path(folder) / "pairs.csv"
        rows = [f'"{a}","{b}"' for a, b in zip(files[::2], files[1::2], strict=True)]
        pairs.write_text("\n".join(["a,b", *rows, ""]), encoding="utf-8")
        command = [sys.executable, "-m", "app", "batch", str(pairs), "--out", str(pairs.with_name("scores.csv"))]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return len(files) / (time.perf_counter() - started)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
