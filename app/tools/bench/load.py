"""Load on a running service: prepared requests on connections that stay open, and how each was answered.

A closed loop (``sustain``: so many callers, each asks again when it has its answer) finds the capacity. An open loop
(``arrive``: requests by the clock, whether or not others have been answered) shows what callers see, queueing included,
which a closed loop hides; its times count from when a request was due. The client is bytes on sockets, so that it takes
little of the machine that it measures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

_LOST = "connection lost"
_PATIENCE_S = 60.0


class Answer(NamedTuple):
    """``code``: ``OK``, an error code, or ``_LOST``; ``due``: seconds since the load began."""

    code: str
    due: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a service made of a load; told of are the ``seconds`` that begin ``since`` the first request was due."""

    answers: tuple[Answer, ...]
    seconds: float
    since: float = 0.0

    def after(self, seconds: float) -> Self:
        """The same without what was due in the first ``seconds``."""
        return replace(self, seconds=self.since + self.seconds - seconds, since=seconds)

    def per_second(self, code: str = "OK") -> float:
        """How many were answered with ``code`` in each second; what came after the end does not count."""
        ended = self.since + self.seconds
        came = [each.due + each.seconds for each in self.answers if each.code == code]
        return sum(self.since <= at <= ended for at in came) / self.seconds

    def milliseconds(self, *quantiles: float, code: str = "OK") -> list[float]:
        """How long answers with ``code`` took, at ``quantiles`` of 0 to 1; NaN where there are none."""
        taken = [1000 * each.seconds for each in self._due if each.code == code]
        return [float(value) for value in np.quantile(taken, quantiles)] if taken else [float("nan")] * len(quantiles)

    @property
    def codes(self) -> dict[str, int]:
        return dict(Counter(each.code for each in self._due))

    @property
    def _due(self) -> list[Answer]:
        return [each for each in self.answers if each.due >= self.since]


class Target(NamedTuple):
    """A service, and the requests that it is sent in turn, each the bytes of its head and body."""

    host: str
    port: int
    requests: Sequence[bytes]


def http_request(host: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a POST of ``body`` as bytes on the wire."""
    lines = [f"{name}: {value}" for name, value in {**headers, "Host": host, "Content-Length": len(body)}.items()]
    return "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode() + body


async def sustain(target: Target, callers: int, seconds: float) -> Load:
    """Have ``callers`` ask without a pause for ``seconds``."""
    loop, answers, turn = asyncio.get_running_loop(), list[Answer](), itertools.cycle(target.requests)
    started = loop.time()

    async def caller() -> None:
        connection = _Connection(target)
        while (due := loop.time() - started) < seconds:
            code = await connection.ask(next(turn))
            answers.append(Answer(code, due, loop.time() - started - due))
        connection.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Load(tuple(answers), loop.time() - started)


async def arrive(target: Target, rate: float, seconds: float) -> Load:
    """Ask ``rate`` times a second for ``seconds``, come what may."""
    loop, answers, turn = asyncio.get_running_loop(), list[Answer](), itertools.cycle(target.requests)
    idle: list[_Connection] = []
    started = loop.time()

    async def caller(due: float) -> None:
        connection = idle.pop() if idle else _Connection(target)
        code = await connection.ask(next(turn))
        answers.append(Answer(code, due, loop.time() - started - due))
        idle.append(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(started + number / rate - loop.time())
        tasks.append(asyncio.create_task(caller(number / rate)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return Load(tuple(answers), seconds)


class _Connection:
    """One connection, opened when needed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> str:
        """Send ``request``; return the code of its answer."""
        is_used = self._streams is not None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, body = await self._exchange(request)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            # Servers close what has been idle for long, perhaps just now: every client then asks once more.
            was_idle = is_used and isinstance(error, (ConnectionError, asyncio.IncompleteReadError))
            return await self.ask(request) if was_idle else _LOST
        if status != b"200":
            return f"HTTP {status.decode()}"
        answer = json.loads(body)
        return str(answer.get("Response", {}).get("Error", {}).get("Code", "OK"))

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        """Return the status and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        reader, writer = self._streams
        writer.write(request)
        with suppress(ConnectionError):  # the answer may come before all is sent
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
