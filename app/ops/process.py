"""The process as the operating system sees it: it leaves no core dumps, and knows how many files it may open."""

from __future__ import annotations

import resource


def forbid_core_dumps() -> None:
    """A dump of the memory would hold keys and pictures."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_open_files(wanted: int) -> int:
    """Have up to ``wanted`` files and sockets allowed to be open; return how many are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
