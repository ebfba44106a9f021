"""The limits on reading a body."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.fakes import COMMON, client_of, code_of, limited

_BODY = b'{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}'


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 1024


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: b" " * 4097, "RequestSizeLimitExceeded"),
        (lambda: _chunks(5), "RequestSizeLimitExceeded"),
        (lambda: _BODY + b" " * (4096 - len(_BODY)), "OK"),
    ],
)
async def test_the_body_size_is_limited_while_reading(content: Callable[[], Any], code: str) -> None:
    async with client_of(limited(max_body_bytes=4096)) as client:
        assert code_of(await client.post("/", content=content(), headers=COMMON)) == code


async def test_a_body_that_declares_too_many_bytes_is_not_read() -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with client_of(limited(max_body_bytes=1024)) as client:
        reply = await client.post("/", content=body(), headers={**COMMON, "Content-Length": "1025"})
    assert code_of(reply) == "RequestSizeLimitExceeded"
