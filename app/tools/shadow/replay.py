"""Send the same requests to one or two services, with bounded concurrency and rate, and record the answers.

Errors that may be transient are retried. A request has no answer if the service keeps limiting the rate or cannot be
reached; a later run sends it again. Many such requests in a row, or a refused key, end the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from app.api.auth.keys import Key
from app.tools.shadow.records import OK, Outcome, OutcomePair, RecordedRequest, RecordError, Results
from app.tools.signing import host_header, signed_headers

_RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
_RESPONSE_TIMEOUT_S = 60.0
_MAX_CONSECUTIVE_FAILURES = 20
"""Consecutive requests without a response that end a run: the service is down, or its rate limit is far too low."""

_RATE_LIMITED = "RequestLimitExceeded"
_TRANSIENT = (_RATE_LIMITED, "FailedOperation.RequestTimeout", "FailedOperation.ServerError", "InternalError")
_FATAL = ("AuthFailure", "UnauthorizedOperation", "ResourceUnavailable", "NoSuchVersion", "InvalidAction")


class RefusedError(RecordError):
    """A service will not answer any request of this run; the message says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service to send requests to, and the key that signs them."""

    endpoint: str
    version: str
    secret_id: str
    key: Key

    def request(self, client: httpx.AsyncClient, body: bytes) -> httpx.Request:
        """Return a request with ``body``, signed with the current time."""
        host = host_header(self.endpoint)
        headers = {
            **signed_headers(self.secret_id, self.key, host, body, int(time.time())),
            "Host": host,
            "X-TC-Action": "CompareFace",
            "X-TC-Version": self.version,
        }
        return client.build_request("POST", f"{self.endpoint.rstrip('/')}/", content=body, headers=headers)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The number of concurrent requests, and of requests started per second."""

    concurrency: int
    per_second: float


class Replay:
    """Sends requests to ``local``, and to ``remote`` if they have no recorded answer."""

    def __init__(self, client: httpx.AsyncClient, local: Service, remote: Service | None, limit: RateLimit) -> None:
        self._client, self._local, self._remote, self._limit = client, local, remote, limit
        self._next_start = 0.0
        self.failure = ""
        """Why the last failed request got no response."""
        self._failures = self._consecutive_failures = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, local: Service, remote: Service | None, limit: RateLimit) -> AsyncIterator[Replay]:
        connections = httpx.Limits(max_connections=2 * limit.concurrency)
        async with httpx.AsyncClient(timeout=_RESPONSE_TIMEOUT_S, limits=connections) as client:
            yield cls(client, local, remote, limit)

    async def run(self, requests: Iterable[RecordedRequest], results: Results) -> int:
        """Send the requests that ``results`` does not have; return the number of requests without an answer."""
        pending = _pending_requests(requests, results)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._limit.concurrency):
                    group.create_task(self._process(pending, results))
        except* (RecordError, OSError) as errors:
            raise errors.exceptions[0] from None
        return self._failures

    async def _process(self, pending: Iterator[RecordedRequest], results: Results) -> None:
        for request in pending:  # all tasks share this iterator
            if request.answer is None and self._remote is None:
                raise RecordError(
                    f"{request.name} has neither `Score` nor `Error`: name the remote service with --against"
                )
            await self._wait_for_rate()
            local, remote = await asyncio.gather(self._ask(self._local, request), self._remote_answer(request))
            if local and remote:
                results.add(OutcomePair(request.name, local, remote))
                self._consecutive_failures = 0
            else:
                self._count_failure()

    def _count_failure(self) -> None:
        self._failures += 1
        self._consecutive_failures += 1
        if self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            raise RefusedError(
                f"{_MAX_CONSECUTIVE_FAILURES} requests in a row got no response ({self.failure}); results are kept"
            )

    async def _wait_for_rate(self) -> None:
        """Return when the next request may start."""
        now = asyncio.get_running_loop().time()
        self._next_start = max(self._next_start, now)
        delay, self._next_start = self._next_start - now, self._next_start + 1 / self._limit.per_second
        await asyncio.sleep(delay)

    async def _remote_answer(self, request: RecordedRequest) -> Outcome | None:
        if request.answer or self._remote is None:
            return request.answer
        return await self._ask(self._remote, request)

    async def _ask(self, service: Service, request: RecordedRequest) -> Outcome | None:
        """Return the answer of ``service``; None if it has none after all retries."""
        for delay in (0.0, *_RETRY_DELAYS_S):
            if delay:
                await asyncio.sleep(delay)
                await self._wait_for_rate()
            outcome = await self._send(service, request.body)
            if outcome and outcome.code.startswith(_FATAL):
                raise RefusedError(f"{service.endpoint} answers {outcome.code}")
            if outcome and not outcome.code.startswith(_TRANSIENT):
                return outcome
        if outcome and outcome.code.startswith(_RATE_LIMITED):
            self.failure = f"{service.endpoint} answers {outcome.code}"
            return None
        return outcome

    async def _send(self, service: Service, body: bytes) -> Outcome | None:
        started = time.perf_counter()
        try:
            response = await self._client.send(service.request(self._client, body))
        except httpx.RequestError as error:
            self.failure = f"{service.endpoint}: {str(error) or type(error).__name__}"
            return None
        try:
            content = response.json()["Response"]
            code = content.get("Error", {}).get("Code", OK)
            score = float(content["Score"]) if code == OK else None
        except (ValueError, KeyError, TypeError, AttributeError):
            self.failure = f"{service.endpoint} answers status {response.status_code} without a valid `Response`"
            return None
        return Outcome(str(code), score, round(1000 * (time.perf_counter() - started), 1))


def _pending_requests(requests: Iterable[RecordedRequest], results: Results) -> Iterator[RecordedRequest]:
    """Yield each request without results once; raise ``RecordError`` if two different requests have the same name."""
    hashes: dict[str, int] = {}
    for request in requests:
        body_hash = hash(request.body)
        if hashes.get(request.name, body_hash) != body_hash:
            raise RecordError(f"two different requests have the `id` {request.name}")
        if request.name not in hashes:
            hashes[request.name] = body_hash
            if results.select(request.name):
                yield request
