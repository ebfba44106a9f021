"""Reading the body of a request within limits, and waiting for the client's disconnect."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request

from app.errors import ApiError, ErrorCode, Text

_BODY_GRACE_S = 5.0
"""A body of n bytes may take ``_BODY_GRACE_S + n / min_rate`` seconds; the constant covers latency and a slow start."""

_TOO_SLOW = Text("The request body was sent too slowly.", "请求体发送过慢。")


async def read_body(
    http: Request, max_bytes: int, min_rate: int, on_chunk: Callable[[bytes], object] | None = None
) -> bytes:
    """Return the body; call ``on_chunk`` with each chunk. ``min_rate``: slowest rate in bytes per second.

    Raises ``RequestSizeLimitExceeded`` or ``RequestTimeout``.
    """
    declared = http.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
    chunks, size = [], 0
    deadline = asyncio.get_running_loop().time() + _BODY_GRACE_S
    try:
        async with asyncio.timeout_at(deadline) as timeout:
            async for chunk in http.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise ApiError(ErrorCode.REQUEST_SIZE_LIMIT_EXCEEDED)
                if on_chunk:
                    on_chunk(chunk)
                chunks.append(chunk)
                timeout.reschedule(deadline + size / min_rate)
    except TimeoutError as error:
        raise ApiError(ErrorCode.REQUEST_TIMEOUT, _TOO_SLOW) from error
    return b"".join(chunks)


async def wait_for_disconnect(http: Request) -> None:
    """Return when the client disconnects. Messages with the rest of the body are ignored."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
