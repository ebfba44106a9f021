"""Ask services the same requests, some at a time and no faster than wanted, and keep what each made of them.

In: requests, one or two services. Out: results, one by one as they come. Faults that may pass are asked again. A
limit that goes on and nobody there are no answer: such requests are left for another run, and many of them in a row,
or a refused key, end this one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from app.api.auth.keys import Key
from app.cli.sign import sent_host, signed_headers
from app.tools.shadow.records import OK, Outcome, Pair, Recorded, RecordError, Results

_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before each further attempt."""

_PATIENCE_S = 60.0
_UNANSWERED = 20
"""Requests in a row without an answer that end a run: nobody is there, or the limit is far from the rate."""

_LIMIT = "RequestLimitExceeded"
_PASSING = (_LIMIT, "FailedOperation.RequestTimeout", "FailedOperation.ServerError", "InternalError")
_HOPELESS = ("AuthFailure", "UnauthorizedOperation", "ResourceUnavailable", "NoSuchVersion", "InvalidAction")


class RefusedError(RecordError):
    """A service will answer no request of this run; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Service:
    """Who is asked, and as whom."""

    endpoint: str
    version: str
    secret_id: str
    key: Key

    def request(self, client: httpx.AsyncClient, body: bytes) -> httpx.Request:
        """Return ``body`` as a request signed now."""
        host = sent_host(self.endpoint)
        headers = signed_headers(self.secret_id, self.key, host, body, int(time.time()))
        told = {"Host": host, "X-TC-Action": "CompareFace", "X-TC-Version": self.version}
        return client.build_request("POST", f"{self.endpoint.rstrip('/')}/", content=body, headers={**headers, **told})


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many requests at once, and how many are begun in a second."""

    concurrency: int
    per_second: float


class Replay:
    """Requests to ``here``, and to ``there`` where their line has no answer of it."""

    def __init__(self, client: httpx.AsyncClient, here: Service, there: Service | None, pace: RateLimit) -> None:
        self._client, self._here, self._there, self._pace = client, here, there, pace
        self._due = 0.0
        self.trouble = ""
        """Why the last request without an answer has none; the text is for the operator."""
        self._unanswered = self._in_a_row = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, here: Service, there: Service | None, pace: RateLimit) -> AsyncIterator[Replay]:
        limits = httpx.Limits(max_connections=2 * pace.concurrency)
        async with httpx.AsyncClient(timeout=_PATIENCE_S, limits=limits) as client:
            yield cls(client, here, there, pace)

    async def run(self, requests: Iterable[Recorded], results: Results) -> int:
        """Ask what ``results`` has not; return how many requests got no answer and are left for another run."""
        turn = _new(requests, results)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._pace.concurrency):
                    group.create_task(self._work(turn, results))
        except* (RecordError, OSError) as several:
            raise several.exceptions[0] from None
        return self._unanswered

    async def _work(self, turn: Iterator[Recorded], results: Results) -> None:
        for request in turn:
            if request.answer is None and self._there is None:
                raise RecordError(
                    f"{request.name} has neither `Score` nor `Error`: name the other service with --against"
                )
            await self._wait()
            here, there = await asyncio.gather(self._ask(self._here, request), self._answer_of_there(request))
            if here and there:
                results.add(Pair(request.name, here, there))
                self._in_a_row = 0
            else:
                self._unanswered += 1
                self._in_a_row += 1
                if self._in_a_row >= _UNANSWERED:
                    raise RefusedError(
                        f"{_UNANSWERED} requests in a row got no answer ({self.trouble}); what was answered is kept"
                    )

    async def _wait(self) -> None:
        """Return when the next request is due."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now)
        wait, self._due = self._due - now, self._due + 1 / self._pace.per_second
        await asyncio.sleep(wait)

    async def _answer_of_there(self, request: Recorded) -> Outcome | None:
        if request.answer or self._there is None:
            return request.answer
        return await self._ask(self._there, request)

    async def _ask(self, service: Service, request: Recorded) -> Outcome | None:
        """Return what ``service`` makes of a request; None where it does not say, however often it is asked."""
        for pause in (0.0, *_PAUSES_S):
            if pause:
                await asyncio.sleep(pause)
                await self._wait()
            outcome = await self._once(service, request.body)
            if outcome and outcome.code.startswith(_HOPELESS):
                raise RefusedError(f"{service.endpoint} answers {outcome.code}")
            if outcome and not outcome.code.startswith(_PASSING):
                return outcome
        if outcome and outcome.code.startswith(_LIMIT):
            self.trouble = f"{service.endpoint} answers {outcome.code}"
            return None
        return outcome

    async def _once(self, service: Service, body: bytes) -> Outcome | None:
        began = time.perf_counter()
        try:
            reply = await self._client.send(service.request(self._client, body))
        except httpx.RequestError as error:
            self.trouble = f"{service.endpoint}: {str(error) or type(error).__name__}"
            return None
        try:
            told = reply.json()["Response"]
            code = told.get("Error", {}).get("Code", OK)
            score = float(told["Score"]) if code == OK else None
        except (ValueError, KeyError, TypeError, AttributeError):
            self.trouble = f"{service.endpoint} answers status {reply.status_code} without a `Response` as documented"
            return None
        return Outcome(str(code), score, round(1000 * (time.perf_counter() - began), 1))


def _new(requests: Iterable[Recorded], results: Results) -> Iterator[Recorded]:
    """Yield each request still to be asked, once; raise ``RecordError`` where two have one name."""
    seen: dict[str, int] = {}
    for request in requests:
        content = hash(request.body)
        if seen.get(request.name, content) != content:
            raise RecordError(f"two different requests have the `id` {request.name}")
        if request.name not in seen:
            seen[request.name] = content
            if results.count(request.name):
                yield request
