"""The whole engine: decoders that are killed cost their requests only; a request leaves nothing of its pictures."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import random
import signal
import tracemalloc
from collections.abc import AsyncIterator
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
from tests.support.server import running_server


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


def _decoders() -> list[int]:
    """Process numbers of the decoders that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"decoder_process.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def _is_ready(decoder: int) -> bool:
    """Whether it has started: the last that it does before is to silence its errors."""
    with suppress(OSError):
        return Path(f"/proc/{decoder}/fd/2").readlink() == Path(os.devnull)
    return False


async def test_decoders_killed_at_work_cost_a_request_each_at_most(engine: Engine) -> None:
    face = _ref(jpeg(astronaut()))
    assert await _compare(engine, face, face) == "OK"
    answers: list[str] = []
    kills = 0

    async def keep_comparing() -> None:
        while kills < 6:
            answers.append(await _compare(engine, face, face))

    callers = [asyncio.create_task(keep_comparing()) for _ in range(4)]
    while kills < 6:
        await asyncio.sleep(0.3)
        ready = [decoder for decoder in _decoders() if _is_ready(decoder)]
        if ready:
            os.kill(random.Random(kills).choice(ready), signal.SIGKILL)
            kills += 1
    await asyncio.gather(*callers)
    assert set(answers) <= {"OK", ErrorCode.IMAGE_DECODE_FAILED.value}
    assert answers.count(ErrorCode.IMAGE_DECODE_FAILED.value) <= kills
    assert await _compare(engine, face, face) == "OK"


def _large(seed: int) -> bytes:
    """A picture of 48 MB, of 3 MB as a file, on which no face is."""
    grain = np.random.default_rng(seed).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    return write(Pillow.fromarray(grain).resize((4000, 4000), Pillow.Resampling.BICUBIC), "JPEG", quality=70)


@pytest.mark.parametrize("outcome", ["OK", ErrorCode.NO_FACE_IN_PHOTO.value, ErrorCode.IMAGE_DECODE_FAILED.value])
async def test_pictures_are_gone_with_their_request_without_waiting_for_a_collector(
    engine: Engine, outcome: str
) -> None:
    picture = jpeg(astronaut()) if outcome == "OK" else _large(1)
    refs = [_ref(picture if outcome != ErrorCode.IMAGE_DECODE_FAILED.value else picture[:-9]) for _ in range(2)]
    assert await _compare(engine, *refs) == outcome
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(3):
            assert await _compare(engine, *refs) == outcome
        await asyncio.sleep(0.5)  # where A is at fault, B may still be worked on
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    print(f"{outcome}: {left} bytes left of {peak}")  # noqa: T201
    assert peak > len(picture)
    assert left < 300_000


SECRET = "X-Amz-Signature=d34db33f"
URLS = (
    "http://127.0.0.1:{port}/missing-name.jpg?{secret}",
    "http://nowhere.invalid/secret-name.jpg?{secret}",
    "http://169.254.169.254/secret-name.jpg?{secret}",
    "http://user:{secret}@a.example/secret-name.jpg",
    "ftp://a.example/secret-name.jpg?{secret}",
    "http://a.example/secret-name .jpg?{secret}",
)


@pytest.mark.parametrize("action", ["CompareFace", "DetectFace"])
def test_neither_log_nor_reply_repeats_a_picture_or_its_address(capfd: pytest.CaptureFixture[str], action: str) -> None:
    with running_server({"COMPAREFACE_LOG__LEVEL": "debug", "COMPAREFACE_FETCH__ALLOW": "127.0.0.1"}) as server:
        replies = []
        for template in URLS:
            url = template.format(port=server.port, secret=SECRET)
            body = {"UrlA": url, "UrlB": url} if action == "CompareFace" else {"Url": url}
            replies.append(send(server, Case(ErrorCode.SERVER_ERROR, "", body, {**COMMON, "X-TC-Action": action})).text)
        picture = base64.b64encode(jpeg(astronaut())[:-9]).decode()
        body = {"ImageA": picture, "ImageB": picture} if action == "CompareFace" else {"Image": picture}
        replies.append(send(server, Case(ErrorCode.SERVER_ERROR, "", body, {**COMMON, "X-TC-Action": action})).text)
    written = capfd.readouterr()
    lines = [json.loads(line) for line in written.err.splitlines()]
    assert sum(line.get("action") == action for line in lines) >= len(URLS), "every request has its line"
    told = written.out + written.err + "".join(replies)
    for secret in (SECRET, "d34db33f", "secret-name", "missing-name", picture[:64], picture[-64:], server.secret_key):
        assert secret not in told
