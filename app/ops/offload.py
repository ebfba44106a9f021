"""Run work on large inputs in a thread, so that it does not block the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MAX_INLINE_BYTES = 2**17
"""JSON of this size is parsed in 1 ms; a thread costs at least 0.1 ms."""


async def offload(size: int | None, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Return the result of ``work``, which runs in a thread unless it is cheap.

    ``size``: bytes of JSON, used to estimate the cost; ``None`` always offloads.
    """
    if size is not None and size <= _MAX_INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
