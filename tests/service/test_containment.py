"""Killed decoder processes fail only their own requests; no image data remains after a request."""

import asyncio
import base64
import gc
import json
import os
import random
import signal
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from app.domain import CompareOptions, ImageRef
from app.engine import Engine
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from tests.contract.catalogue import Case, send
from tests.imaging.conftest import write
from tests.support.fakes import COMMON
from tests.support.images import astronaut, jpeg
from tests.support.server import Server, running_server


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    async with Engine.open(settings) as engine:
        yield engine


def _ref(data: bytes) -> ImageRef:
    return ImageRef(base64=base64.b64encode(data).decode())


async def _compare(engine: Engine, a: ImageRef, b: ImageRef) -> str:
    try:
        await engine.services.compare(a, b, CompareOptions(), StageTimer.after(30))
    except ApiError as error:
        return error.code.value
    return "OK"


def _decoder_pids() -> list[int]:
    """Return the process IDs of the decoder processes that this process started."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"decoder_process.py" in (folder / "cmdline").read_bytes():
                pids.append(int(folder.name))
    return pids


def _is_ready(pid: int) -> bool:
    """Return whether the process accepts images: its last step before that redirects standard error."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/fd/2").readlink() == Path(os.devnull)
    return False


async def test_each_killed_decoder_process_fails_at_most_one_request(engine: Engine) -> None:
    face = _ref(jpeg(astronaut()))
    assert await _compare(engine, face, face) == "OK"
    outcomes: list[str] = []
    kills = 0

    async def keep_comparing() -> None:
        while kills < 6:
            outcomes.append(await _compare(engine, face, face))

    clients = [asyncio.create_task(keep_comparing()) for _ in range(4)]
    while kills < 6:
        await asyncio.sleep(0.3)
        ready = [pid for pid in _decoder_pids() if _is_ready(pid)]
        if ready:
            os.kill(random.Random(kills).choice(ready), signal.SIGKILL)
            kills += 1
    await asyncio.gather(*clients)
    assert set(outcomes) <= {"OK", ErrorCode.IMAGE_DECODE_FAILED.value}
    assert outcomes.count(ErrorCode.IMAGE_DECODE_FAILED.value) <= kills
    assert await _compare(engine, face, face) == "OK"


_MAX_REMAINING = 300_000


def _large(seed: int) -> bytes:
    """Return an encoded image without a face: 0.5 MB as a file, 7.7 MB of pixels."""
    grain = np.random.default_rng(seed).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    return write(Pillow.fromarray(grain).resize((1600, 1600), Pillow.Resampling.BICUBIC), "JPEG", quality=70)


@pytest.mark.parametrize("outcome", ["OK", ErrorCode.NO_FACE_IN_PHOTO.value, ErrorCode.IMAGE_DECODE_FAILED.value])
async def test_image_memory_is_freed_at_the_end_of_a_request_without_garbage_collection(
    engine: Engine, outcome: str
) -> None:
    data = jpeg(astronaut()) if outcome == "OK" else _large(1)
    refs = [_ref(data if outcome != ErrorCode.IMAGE_DECODE_FAILED.value else data[:-9]) for _ in range(2)]
    assert await _compare(engine, *refs) == outcome
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(3):
            assert await _compare(engine, *refs) == outcome
        peak = tracemalloc.get_traced_memory()[1]
        until = time.monotonic() + 10
        while (remaining := tracemalloc.get_traced_memory()[0]) >= _MAX_REMAINING and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # after an error of A, B may still be processed
    finally:
        tracemalloc.stop()
        gc.enable()
    print(f"{outcome}: {remaining} of {peak} bytes remain")  # noqa: T201
    assert peak > len(data)
    assert remaining < _MAX_REMAINING


URL_SECRET = "X-Amz-Signature=d34db33f"
URL_TEMPLATES = (
    "http://127.0.0.1:{port}/missing-name.jpg?{secret}",
    "http://nowhere.invalid/secret-name.jpg?{secret}",
    "http://169.254.169.254/secret-name.jpg?{secret}",
    "http://user:{secret}@a.example/secret-name.jpg",
    "ftp://a.example/secret-name.jpg?{secret}",
    "http://a.example/secret-name .jpg?{secret}",
)


def test_neither_log_nor_response_contains_image_data_or_urls(capfd: pytest.CaptureFixture[str]) -> None:
    image = base64.b64encode(jpeg(astronaut())[:-9]).decode()
    actions = ("CompareFace", "DetectFace")
    with running_server({"COMPAREFACE_LOG__LEVEL": "debug", "COMPAREFACE_FETCH__ALLOW": "127.0.0.1"}) as server:
        replies = [reply for action in actions for reply in _replies(server, action, image)]
    written = capfd.readouterr()
    logged = Counter(json.loads(line).get("action") for line in written.err.splitlines())
    for action in actions:
        assert logged[action] >= len(URL_TEMPLATES), "every request has a log line"
    output = written.out + written.err + "".join(replies)
    for secret in (URL_SECRET, "d34db33f", "secret-name", "missing-name", image[:64], image[-64:], server.secret_key):
        assert secret not in output


def _replies(server: Server, action: str, image: str) -> Iterator[str]:
    """Send the URLs and the broken ``image``, encoded with base64; yield the bodies of the responses."""
    urls = [template.format(port=server.port, secret=URL_SECRET) for template in URL_TEMPLATES]
    names = ("Url", "Image") if action == "DetectFace" else ("UrlA", "UrlB", "ImageA", "ImageB")
    for value in (*urls, image):
        body = {name: value for name in names if name.startswith("Image") == (value == image)}
        case = Case(ErrorCode.SERVER_ERROR, "", body, {**COMMON, "X-TC-Action": action})
        yield send(server, case).text
