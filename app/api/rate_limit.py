"""Rate limits of callers (vendor document "Request frequency limit"): calls per second, over all server processes.

Each process counts its calls in its own row of memory that all processes share, and adds up all rows. So no lock is
needed, and a process that is killed damages nothing. Two calls within a microsecond may each count the other one
first: then both are rejected where one was allowed.
"""

import hashlib
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.errors import ApiError, ErrorCode, Text

_ENTRY = np.dtype([("caller", "u8"), ("count", "u8")])
"""A hash of SecretId and action; its last second in the upper half, the calls in that second in the lower one."""
_ENTRIES = 1024
"""More callers than a process can answer in a second."""

BYTES_PER_PROCESS = _ENTRIES * _ENTRY.itemsize


class RateLimiter:
    """Counts the calls of each SecretId and action in the current second."""

    def __init__(
        self, memory: NDArray[np.uint8] | None = None, row: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``memory``: ``BYTES_PER_PROCESS`` zeros for each process, shared by them; None if there is only one.

        ``row``: the number of this process; no running process has the same one.
        """
        memory = np.zeros(BYTES_PER_PROCESS, np.uint8) if memory is None else memory
        self._rows = memory.view(_ENTRY).reshape(-1, _ENTRIES)
        self._own = self._rows[row]
        self._clock = clock

    @property
    def processes(self) -> int:
        """The number of server processes that share the memory."""
        return len(self._rows)

    def count(self, secret_id: str, action: str, max_per_second: int) -> None:
        """Count one call; raise ``RequestLimitExceeded`` if it is more than ``max_per_second``."""
        calls = self._count(f"{secret_id} {action}", int(self._clock()))
        if calls > max_per_second:
            text = Text(
                f"Your current request times equals to `{calls}` in a second, which exceeds the frequency limit "
                f"`{max_per_second}` for a second. Please reduce the frequency of calls.",
                f"您当前每秒请求 `{calls}` 次，超过了每秒频率上限 `{max_per_second}`，请稍后重试。",
            )
            raise ApiError(ErrorCode.REQUEST_LIMIT_EXCEEDED, text)

    def _count(self, name: str, second: int) -> int:
        """Count one call, and return the calls of this caller in all processes in this second."""
        caller = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
        known = np.flatnonzero(self._own["caller"] == caller)
        entry = self._own[known[0] if len(known) else self._own["count"].argmin()]
        first_of_second = second << 32
        if not len(known) or entry["count"] < first_of_second:
            entry["count"] = 0  # so that no process reads the calls of another caller or second
            entry["caller"] = caller
            entry["count"] = first_of_second
        entry["count"] += 1
        counts = self._rows["count"][self._rows["caller"] == caller]
        return int((counts[counts >> 32 == second] - first_of_second).sum())
