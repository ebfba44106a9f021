"""Speed on this machine: milliseconds per stage for one picture, and whole comparisons over HTTP.

Median of repeated runs after a warm-up. Numbers of different machines do not compare; ratios within one run do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tencentcloud.iai.v20200303 import models

from app.config import load
from app.domain import Image, MatchingStrategy
from app.imaging.decode import decode
from app.packs.store import Store
from app.runtime.session import OrtSession
from app.runtime.threads import available_cores, thread_budget
from app.vision.align import align
from app.vision.detect import DETECTORS
from app.vision.embed import Embedder
from app.vision.selection import select
from benchmarks.demo import request, sdk_client
from benchmarks.pictures import astronaut, cast, jpeg
from benchmarks.server import PACK, Server, running_server

_RUNS = 20


def main() -> None:
    portrait = np.ascontiguousarray(astronaut()[0:250, 100:350])
    pictures = {"portrait 250 px": portrait, "portrait 1350 px": enlarged(portrait, 1350), "group 1280 px": cast()}
    stages(pictures)
    command_line(pictures)
    over_http(pictures)


def enlarged(image: Image, side: int) -> Image:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def stages(pictures: dict[str, Image]) -> None:
    """Print the milliseconds of every stage, one picture at a time, one thread."""
    store = Store.of(load().models)
    pack = store.pack(PACK)
    files = store.resolve(pack)
    cv2.setNumThreads(1)
    detector = DETECTORS[pack.detector.family](OrtSession.open(files[pack.detector.file], "cpu", 1), pack.detector)
    embedder = Embedder(OrtSession.open(files[pack.embedder.file], "cpu", 1), pack.embedder)
    template = np.array(pack.embedder.template, dtype=np.float32)
    print(f"pack {pack.name}, one thread, milliseconds")
    print(f"{'':<18}{'decode':>9}{'detect':>9}{'align':>9}{'embed':>9}")
    for name, picture in pictures.items():
        data = jpeg(picture)
        image = decode(data)
        face = select(detector.detect(image), image, MatchingStrategy.LARGEST, pack.detector.clear)
        crop = align(image, face.landmarks, template, pack.embedder.input_size)
        times = [
            milliseconds(partial(decode, data)),
            milliseconds(partial(detector.detect, image)),
            milliseconds(partial(align, image, face.landmarks, template, pack.embedder.input_size)),
            milliseconds(partial(embedder.embed, crop)),
        ]
        print(f"{name:<18}" + "".join(f"{value:9.2f}" for value in times))


def command_line(pictures: dict[str, Image]) -> None:
    """Print the seconds of one ``compareface compare``, start-up of the process included."""
    environment = {**os.environ, "COMPAREFACE_MODELS__PACK": PACK}
    with TemporaryDirectory() as folder:
        for name, picture in pictures.items():
            file = Path(folder) / "picture.jpg"
            file.write_bytes(jpeg(picture))
            command = [sys.executable, "-m", "app", "compare", str(file), str(file)]
            call = partial(subprocess.run, command, check=True, capture_output=True, env=environment)
            taken = milliseconds(call, runs=5) / 1000
            print(f"{name:<18} {taken:7.2f} s for one `compareface compare`, process start included")


def over_http(pictures: dict[str, Image]) -> None:
    """Print latency and throughput of whole comparisons through the official SDK."""
    print(f"\ncomparisons over HTTP, {thread_budget(available_cores())}")
    with running_server() as server:
        for name, picture in pictures.items():
            made = request(jpeg(picture), jpeg(np.ascontiguousarray(picture[:, ::-1])))

            call = partial(_call, server, made)
            latency = milliseconds(partial(call, 0))
            started = time.perf_counter()
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(call, range(4 * _RUNS)))
            rate = 4 * _RUNS / (time.perf_counter() - started)
            print(f"{name:<18} {latency:7.1f} ms one at a time, {rate:6.1f}/s at concurrency 8")


def _call(server: Server, made: models.CompareFaceRequest, _: int) -> None:
    sdk_client(server).CompareFace(made)


def milliseconds(function: Callable[[], object], runs: int = _RUNS) -> float:
    """Median of ``runs`` calls after three that do not count."""
    for _ in range(3):
        function()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


if __name__ == "__main__":
    main()
