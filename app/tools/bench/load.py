"""Load on a running service: prepared requests on persistent connections, and the outcome of each.

In a closed loop, each client sends its next request after a response: this measures the capacity. In an open loop,
requests start at fixed times, and latency counts from the time that a request was due: this includes queueing.
The client writes prepared bytes to sockets, so that it takes little CPU time from the service.
"""

import asyncio
import base64
import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import numpy as np

from app.environment import Settings, SettingsError
from app.tools.latency import latency_quantiles
from app.tools.signing import host_header, pick_key, signed_headers

_CONNECTION_LOST = "connection lost"
_CONNECT_TIMEOUT_S, _RESPONSE_TIMEOUT_S = 5.0, 60.0


class TimedAnswer(NamedTuple):
    """The outcome of a request.

    ``code``: ``OK``, an error code, ``HTTP`` and a status, or ``connection lost``; ``due``: seconds since the start of
    the load; ``seconds``: latency.
    """

    code: str
    due: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The answers of a load. Statistics cover the ``seconds`` after ``since``, in seconds from the start."""

    answers: tuple[TimedAnswer, ...]
    seconds: float
    since: float = 0.0

    def skip(self, seconds: float) -> Self:
        """Return the result without the requests that were due in the first ``seconds``."""
        return replace(self, seconds=self.since + self.seconds - seconds, since=seconds)

    def per_second(self, code: str = "OK") -> float:
        """Return the answers with ``code`` per second; answers after the end do not count."""
        end = self.since + self.seconds
        arrivals = [answer.due + answer.seconds for answer in self.answers if answer.code == code]
        return sum(self.since <= arrival <= end for arrival in arrivals) / self.seconds

    def milliseconds(self, *quantiles: float, code: str = "OK") -> list[float]:
        """Return latency quantiles (0 to 1) of the answers with ``code``; NaN if there are none."""
        values: list[float] = np.quantile(self._latencies(code) or [np.nan], quantiles).tolist()
        return values

    @property
    def codes(self) -> dict[str, int]:
        """Number of answers by code."""
        return dict(Counter(answer.code for answer in self._measured))

    def summary(self) -> dict[str, object]:
        """Return the summary as plain data; latencies are None if no request succeeded."""
        latencies = latency_quantiles(self._latencies("OK"), max_ms=1.0)
        return {"answers": self.codes, "accepted_per_second": round(self.per_second(), 2), **latencies}

    def _latencies(self, code: str) -> list[float]:
        return [1000 * answer.seconds for answer in self._measured if answer.code == code]

    @property
    def _measured(self) -> list[TimedAnswer]:
        return [answer for answer in self.answers if answer.due >= self.since]


class Target(NamedTuple):
    """A service, and the requests to send in rotation, each as the bytes of its head and body."""

    host: str
    port: int
    requests: Sequence[bytes]


def http_request(host: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a POST of ``body`` as HTTP/1.1 bytes."""
    lines = [f"{name}: {value}" for name, value in {**headers, "Host": host, "Content-Length": len(body)}.items()]
    return "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode() + body


def compare_bodies(images: Sequence[bytes]) -> list[bytes]:
    """Return the JSON bodies of requests that compare each encoded image with the next one."""
    texts = [base64.b64encode(image).decode("ascii") for image in images]
    return [json.dumps({"ImageA": a, "ImageB": b}).encode() for a, b in zip(texts, [*texts[1:], texts[0]], strict=True)]


def prepare_target(settings: Settings, endpoint: str, photos: Sequence[Path]) -> Target:
    """Return signed requests that compare each photo with the next one; signatures expire after a few minutes.

    Raise ``SettingsError`` if ``endpoint`` is not an http URL or does not accept a connection.
    """
    secret_id, key = pick_key(settings.auth, None)
    host, url = host_header(endpoint), urlsplit(endpoint)
    if url.scheme != "http":
        raise SettingsError(f"{endpoint} is not an http URL; measure the service itself, not a proxy in front of it")
    action = {"X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}
    requests = []
    for body in compare_bodies([photo.read_bytes() for photo in photos]):
        signed = signed_headers(secret_id, key, host, body, int(time.time()))
        requests.append(http_request(host, {**signed, **action}, body))
    target = Target(url.hostname or "", url.port or 80, requests)
    try:
        socket.create_connection((target.host, target.port), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise SettingsError(f"no server at {target.host}:{target.port}: {error.strerror or error}") from error
    return target


async def run_closed_loop(target: Target, concurrency: int, seconds: float) -> LoadResult:
    """Send requests from ``concurrency`` clients for ``seconds``; each waits for its response, then sends the next."""
    loop, answers, requests = asyncio.get_running_loop(), list[TimedAnswer](), itertools.cycle(target.requests)
    started = loop.time()

    async def client() -> None:
        connection = _Connection(target)
        while (due := loop.time() - started) < seconds:
            code = await connection.send(next(requests))
            answers.append(TimedAnswer(code, due, loop.time() - started - due))
        connection.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return LoadResult(tuple(answers), loop.time() - started)


async def run_open_loop(target: Target, rate: float, seconds: float) -> LoadResult:
    """Send ``rate`` requests per second for ``seconds``, whether or not earlier requests were answered."""
    loop, answers, requests = asyncio.get_running_loop(), list[TimedAnswer](), itertools.cycle(target.requests)
    idle: list[_Connection] = []
    started = loop.time()

    async def client(due: float) -> None:
        connection = idle.pop() if idle else _Connection(target)
        code = await connection.send(next(requests))
        answers.append(TimedAnswer(code, due, loop.time() - started - due))
        idle.append(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(started + number / rate - loop.time())
        tasks.append(asyncio.create_task(client(number / rate)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return LoadResult(tuple(answers), seconds)


class _Connection:
    """A persistent connection, opened for the first request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> str:
        """Send ``request``; return the code of its answer."""
        is_reused = self._streams is not None
        try:
            async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
                status, body = await self._exchange(request)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            # A server may close an idle connection at any time: HTTP clients then send the request once more.
            was_idle = is_reused and isinstance(error, (ConnectionError, asyncio.IncompleteReadError))
            return await self.send(request) if was_idle else _CONNECTION_LOST
        if status != b"200":
            return f"HTTP {status.decode()}"
        return str(json.loads(body).get("Response", {}).get("Error", {}).get("Code", "OK"))

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        """Return the status and the body of the response."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        reader, writer = self._streams
        writer.write(request)
        with suppress(ConnectionError):  # the server may respond and close before it has read everything
            await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await reader.readexactly(int(fields[b"content-length"]))
        if fields.get(b"connection") == b"close":
            self.close()
        return head.split(b" ", 2)[1], body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
