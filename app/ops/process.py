"""The process as the system sees it: it leaves no core dumps, knows how many files it may open and how it is called."""

from __future__ import annotations

import resource
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "compareface"


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


def own_command(arguments: str) -> str:
    """Return a command of this program as it works when it is copied into the operator's shell.

    An environment that is not activated has its programs beside Python, and not on the path: `make` uses one.
    """
    beside = Path(sys.executable).with_name(_NAME)
    if not beside.exists() or shutil.which(_NAME) == str(beside):
        return f"{_NAME} {arguments}"
    here = Path.cwd()
    near = beside.relative_to(here) if beside.is_relative_to(here) else beside
    return f"{shlex.quote(str(near))} {arguments}"
