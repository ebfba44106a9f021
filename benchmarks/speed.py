"""Speed on this machine with images from packages: stages of one image, and whole comparisons over HTTP.

Milliseconds of different machines do not compare; ratios within one run do.
"""

import asyncio
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from app.domain import Image
from app.environment import load_settings
from app.packs.store import Store
from app.tools.bench.load import run_closed_loop
from app.tools.bench.stages import StageBenchmark, stage_table
from benchmarks.services import running_services
from tests.support.images import astronaut, cast, jpeg
from tests.support.server import PACK

_SECONDS = 4.0
_CALLERS = 8


def main() -> None:
    portrait = np.ascontiguousarray(astronaut()[0:250, 100:350])
    images = {"portrait 250 px": portrait, "portrait 1350 px": enlarged(portrait, 1350), "group 1280 px": cast()}
    files = {name: jpeg(image) for name, image in images.items()}
    settings = load_settings()
    store = Store.from_settings(settings.models)
    benchmark = StageBenchmark(settings, store, store.pack(PACK))
    print(f"pack {PACK}, one thread, milliseconds and share of the whole")
    print("\n".join(stage_table({name: benchmark.measure(data) for name, data in files.items()})))
    command_line(files)
    over_http(files)


def enlarged(image: Image, side: int) -> Image:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def command_line(files: dict[str, bytes]) -> None:
    """Print the seconds of one ``compareface compare``, process start included."""
    environment = {**os.environ, "COMPAREFACE_MODELS__PACK": PACK}
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            file = Path(folder) / "image.jpg"
            file.write_bytes(data)
            command = [sys.executable, "-m", "app", "compare", str(file), str(file)]
            call = partial(subprocess.run, command, check=True, capture_output=True, env=environment)
            durations = []
            for _ in range(5):
                started = time.perf_counter()
                call()
                durations.append(time.perf_counter() - started)
            print(f"{name:<18} {median(durations):7.2f} s for one `compareface compare`, process start included")


def over_http(files: dict[str, bytes]) -> None:
    """Print latency and throughput of whole comparisons."""
    with running_services([PACK]) as running:
        for name, data in files.items():
            target = running[PACK].target([data, data])
            single = asyncio.run(run_closed_loop(target, 1, _SECONDS))
            concurrent = asyncio.run(run_closed_loop(target, _CALLERS, _SECONDS))
            print(
                f"{name:<18} {single.milliseconds(0.5)[0]:7.1f} ms sequentially, "
                f"{concurrent.per_second():6.1f}/s at concurrency {_CALLERS}"
            )


if __name__ == "__main__":
    main()
