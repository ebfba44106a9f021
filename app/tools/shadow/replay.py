"""Send the same requests to one or two services, with bounded concurrency and rate, and record the answers.

Errors that may be transient are retried. A request gets no answer if the service keeps limiting the rate or cannot be
reached; a later run sends it again. Many such requests in a row, or a rejected key, end the run.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from app.api.auth.keys import Key
from app.tools.shadow.records import OK, Answer, AnswerPair, RecordedRequest, Results, ShadowError
from app.tools.signing import signed_headers

_RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
_RESPONSE_TIMEOUT_S = 60.0
_MAX_CONSECUTIVE_FAILURES = 20
"""Consecutive requests without a response that end a run: the service is down, or its rate limit is far too low."""

_RATE_LIMITED = "RequestLimitExceeded"
_TRANSIENT = (_RATE_LIMITED, "FailedOperation.RequestTimeout", "FailedOperation.ServerError", "InternalError")
_FATAL = ("AuthFailure", "UnauthorizedOperation", "ResourceUnavailable", "NoSuchVersion", "InvalidAction")
"""Prefixes of codes: transient ones are retried, fatal ones end the run."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service to send requests to, the Host header it expects, and the key that signs requests."""

    endpoint: str
    host: str
    version: str
    secret_id: str
    key: Key

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers of a request with ``body``, signed with the current time."""
        signed = signed_headers(self.secret_id, self.key, self.host, body, int(time.time()))
        return {**signed, "Host": self.host, "X-TC-Action": "CompareFace", "X-TC-Version": self.version}


class Replay:
    """Sends requests to ``local``, and to ``remote`` if they have no recorded answer; starts ``rate`` per second."""

    def __init__(self, local: Service, remote: Service | None, results: Results, rate: float) -> None:
        self._local, self._remote, self._results = local, remote, results
        self._interval_s = 1 / rate
        self._next_start = 0.0
        self._consecutive_failures = 0
        self.failures = 0
        """Number of requests without an answer."""
        self.failure = ""
        """Why the last of them got no response."""

    async def run(self, requests: Iterable[RecordedRequest], concurrency: int) -> None:
        """Send the requests that have no results yet."""
        pending = self._results.pending(requests)
        limits = httpx.Limits(max_connections=2 * concurrency)
        try:
            async with (
                httpx.AsyncClient(timeout=_RESPONSE_TIMEOUT_S, limits=limits) as self._client,
                asyncio.TaskGroup() as group,
            ):
                for _ in range(concurrency):
                    group.create_task(self._process(pending))
        except* (ShadowError, OSError) as errors:
            raise errors.exceptions[0] from None

    async def _process(self, pending: Iterator[RecordedRequest]) -> None:
        for request in pending:  # all tasks share this iterator
            if request.answer is None and self._remote is None:
                raise ShadowError(
                    f"{request.id} has neither `Score` nor `Error`: name the remote service with --against"
                )
            await self._wait_for_rate()
            local, remote = await asyncio.gather(self._ask(self._local, request), self._remote_answer(request))
            if local and remote:
                self._results.add(AnswerPair(request.id, local, remote))
                self._consecutive_failures = 0
            else:
                self._count_failure()

    def _count_failure(self) -> None:
        self.failures += 1
        self._consecutive_failures += 1
        if self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            raise ShadowError(
                f"{_MAX_CONSECUTIVE_FAILURES} requests in a row got no response ({self.failure}); results are kept"
            )

    async def _wait_for_rate(self) -> None:
        """Return when the next request may start."""
        now = asyncio.get_running_loop().time()
        start = max(self._next_start, now)
        self._next_start = start + self._interval_s
        await asyncio.sleep(start - now)

    async def _remote_answer(self, request: RecordedRequest) -> Answer | None:
        if request.answer or self._remote is None:
            return request.answer
        return await self._ask(self._remote, request)

    async def _ask(self, service: Service, request: RecordedRequest) -> Answer | None:
        """Return the answer of ``service``; None if there is none after all retries."""
        for delay in (0.0, *_RETRY_DELAYS_S):
            if delay:
                await asyncio.sleep(delay)
                await self._wait_for_rate()
            answer = await self._send(service, request.body)
            if answer and answer.code.startswith(_FATAL):
                raise ShadowError(f"{service.endpoint} answers {answer.code}")
            if answer and not answer.code.startswith(_TRANSIENT):
                return answer
        if answer and answer.code.startswith(_RATE_LIMITED):
            self.failure = f"{service.endpoint} answers {answer.code}"
            return None
        return answer

    async def _send(self, service: Service, body: bytes) -> Answer | None:
        started = time.perf_counter()
        try:
            url = f"{service.endpoint.rstrip('/')}/"
            response = await self._client.post(url, content=body, headers=service.headers(body))
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
        return Answer(str(code), score, round(1000 * (time.perf_counter() - started), 1))
