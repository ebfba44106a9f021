"""Admission: at most so many requests at work. The next one waits a little for a place, and is then told so.

Who waits has sent no body yet, so waiting costs next to no memory; places are given in the order of arrival.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import ApiError, ErrorCode, Text

_BUSY = Text(
    "The service is working on as many requests as it may. Please reduce the frequency of calls.",
    "服务正在处理的请求数已达上限，请稍后重试。",
)


class Admission:
    """Counts the requests at work; belongs to one event loop."""

    def __init__(self, max_in_flight: int, max_wait_s: float) -> None:
        self._places = asyncio.Semaphore(max_in_flight)
        self._max_wait_s = max_wait_s

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place; raise ``RequestLimitExceeded`` if there is none in time."""
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, _BUSY) from error
        try:
            yield
        finally:
            self._places.release()
