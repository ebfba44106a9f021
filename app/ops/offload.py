"""Work on bytes that may be many: on a thread beside the event loop, where it would keep others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_FEW = 2**17
"""Bytes of JSON that are parsed in 1 ms; a thread and back take 0.1 ms or more."""


async def offload(size: int | None, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Return what ``work`` returns. It takes as long as ``size`` bytes of JSON do, or None knows how long."""
    if size is not None and size <= _FEW:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
