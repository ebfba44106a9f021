"""CPU time of a request apart from image processing.

A server in its own process, started like ``compareface serve``, answers signed requests on one connection. Its engine
decodes the base64 of both images and stops there. ``/version`` reports the CPU time of the process (all threads). Then
each step is timed alone, with the library that performs it.
"""

import asyncio
import base64
import binascii
import json
import os
import secrets
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, fields
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pybase64
import pydantic
import pydantic_core

from app.api import envelope, parameters
from app.api.actions.base import bind
from app.api.actions.compare_face import COMPARE_FACE
from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import Key, KeyRing
from app.api.request import CloudRequest
from app.cli.serve import serve
from app.domain import CompareOptions, Comparison, DetectionResult, DetectOptions, ImageRef
from app.environment import Settings, load_settings
from app.imaging.fetch import Fetcher
from app.imaging.source import decode_base64, load_image
from app.ops import logs
from app.ops.metrics import Metrics
from app.ops.stage_timer import StageTimer
from app.service.services import EngineInfo, Services
from app.settings import AuthSettings
from app.tools.signing import signed_headers
from tests.support.fakes import INFO
from tests.support.server import Server, running_server

BUDGET_MS = 8.0
"""Budget of a request of 1 MB."""

_BATCHES = 10
_REQUESTS = {100: 40, 10**6: 40, 10**7: 6}  # bytes of the body: requests per batch
_STEPS_BODY, _READ_SIZE = 10**6, 2**16  # bytes of the body whose steps are timed, and of one read
_RUNS = 200
_KEY = Key(label="bench", secret_key=secrets.token_urlsafe(24))
_SECRET_ID = "AKIDbench"


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        _serve()
        return
    print("wire: CPU milliseconds of the server per request, without image processing")
    with running_server({"COMPAREFACE_LOG__LEVEL": "info"}, program="-m benchmarks.wire") as server:
        for size, count in _REQUESTS.items():
            cost = per_request(server, body_of(size), count)
            budget = f"   (budget {BUDGET_MS:.0f})" if size == _STEPS_BODY else ""
            print(f"{size:>10,} bytes {cost:9.2f}{budget}")
    print(f"\nits steps for {_STEPS_BODY:,} bytes, one thread; alternatives in brackets")
    for step in steps(body_of(_STEPS_BODY)):
        print(f"{step.name:<12}{step.library:<48}{milliseconds(step.run):8.3f}")


def body_of(size: int) -> bytes:
    """Return a JSON body of ``size`` bytes with two images of random bytes."""
    images = [base64.b64encode(os.urandom((size - 30) // 8 * 3)).decode() for _ in "AB"]
    return json.dumps(dict(zip(("ImageA", "ImageB"), images, strict=True))).encode().ljust(size)


class ReadingService:
    """Loads and decodes the base64 of the images, without workers. Returns a fixed score, and no faces."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def compare(self, a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
        for data in await asyncio.gather(*(load_image(ref, self._fetcher, timer) for ref in (a, b))):
            decode_base64(str(data))
        return Comparison(43.15762039906064, 0.9341, options.face_model_version)

    async def detect(self, image: ImageRef, options: DetectOptions, timer: StageTimer) -> DetectionResult:
        decode_base64(str(await load_image(image, self._fetcher, timer)))
        return DetectionResult(1, 1, ())


@dataclass(frozen=True)
class _MeasuredInfo(EngineInfo):
    """Adds the CPU time of the process to ``/version``."""

    cpu_s: float


class ReadingEngine(NamedTuple):
    """The engine of the measured server."""

    service: ReadingService
    metrics: Metrics

    @property
    def services(self) -> Services:
        return Services(compare=self.service.compare, detect=self.service.detect)

    @property
    def info(self) -> EngineInfo:
        return _MeasuredInfo(
            **{field.name: getattr(INFO, field.name) for field in fields(INFO)}, cpu_s=time.process_time()
        )

    def is_busy(self, _: int) -> bool:
        return False


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[ReadingEngine]:
    async with Fetcher(settings.fetch) as fetcher:
        yield ReadingEngine(ReadingService(fetcher), Metrics())


def _serve() -> None:
    settings = load_settings()
    with Path(os.devnull).open("w") as nowhere:
        logs.configure(settings.log.level, nowhere)  # log lines are formatted as usual, but not printed
        asyncio.run(serve(settings, _open))


def per_request(server: Server, body: bytes, count: int) -> float:
    """Return the server's CPU milliseconds per request: the median of batches of ``count`` after a warm-up."""
    headers = server.headers(COMPARE_FACE.name, body)
    costs = []
    with closing(HTTPConnection(server.host, server.port, timeout=30)) as connection:
        for _ in range(_BATCHES + 1):
            before = _cpu_s(connection)
            for _ in range(count):
                connection.request("POST", "/", body, headers)
                reply = connection.getresponse().read()
                if b'"Score"' not in reply:
                    raise RuntimeError(reply.decode())
            costs.append(1000 * (_cpu_s(connection) - before) / count)
    return median(costs[1:])


def _cpu_s(connection: HTTPConnection) -> float:
    connection.request("GET", "/version")
    return float(json.load(connection.getresponse())["engine"]["cpu_s"])


class Step(NamedTuple):
    """One step of a request, and the library that performs it."""

    name: str
    library: str
    run: Callable[[], object]


def steps(body: bytes) -> Iterator[Step]:
    """Yield the steps in the order of the gateway, each followed by alternatives."""
    pieces = [body[at : at + _READ_SIZE] for at in range(0, len(body), _READ_SIZE)]
    host = "127.0.0.1:8000"
    headers = {"Host": host, **signed_headers(_SECRET_ID, _KEY, host, b"", int(time.time()))}
    request = CloudRequest("POST", "/", "", {name.lower(): value for name, value in headers.items()})
    settings = AuthSettings.model_validate({"keys": f"{_SECRET_ID}:{_KEY.secret_key}"})
    authenticator = Authenticator(settings, KeyRing.open(settings), is_open=False)
    values = parameters.from_json(body)
    texts = [str(values["ImageA"]), str(values["ImageB"])]
    model = COMPARE_FACE.models["2020-03-03"]
    pydantic_library, json_library = f"pydantic {pydantic.VERSION}", f"pydantic_core {pydantic_core.__version__}"

    yield Step("join", "bytes.join", partial(b"".join, pieces))
    yield Step("SHA-256", f"hashlib, {ssl.OPENSSL_VERSION}", partial(tc3.sha256, body))
    yield Step("signature", "hmac", lambda: authenticator.verify(request, authenticator.check_credential(request)))
    yield Step("JSON", json_library, partial(parameters.from_json, body))
    yield Step("", "(json)", partial(json.loads, body))
    yield Step("parameters", pydantic_library, partial(bind, model, values, is_text=False, is_lenient=False))
    yield Step(
        "base64", f"pybase64 {pybase64.get_version()}", _decode_all(texts, partial(pybase64.b64decode, validate=True))
    )
    yield Step("", "(binascii)", _decode_all(texts, partial(binascii.a2b_base64, strict_mode=True)))
    yield Step("reply", "json", partial(envelope.success, {"Score": 43.15762039906064}, request, "0"))


def _decode_all(texts: list[str], decode: Callable[[str], bytes]) -> Callable[[], object]:
    return lambda: [decode(text) for text in texts]


def milliseconds(function: Callable[[], object]) -> float:
    """Return the median CPU milliseconds of one call on this thread."""
    function()
    times = []
    for _ in range(_RUNS):
        started = time.thread_time()
        function()
        times.append(1000 * (time.thread_time() - started))
    return median(times)


if __name__ == "__main__":
    main()
