"""Work on bytes that may be many: on a thread beside the event loop, where it would keep others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_FEW = 2**19
"""Bytes that are hashed, parsed or decoded in less than a millisecond. A thread and back take 0.1 ms, or more."""


async def aside(size: int, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Return what ``work``, which takes as long as ``size`` bytes are many, returns."""
    return work(*args, **kwargs) if size <= _FEW else await asyncio.to_thread(work, *args, **kwargs)
