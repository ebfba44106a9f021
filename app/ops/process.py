"""Settings of the operating system for this process: core dumps, open files, and the command that started it."""

import resource
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "compareface"


def disable_core_dumps() -> None:
    """Prevent core dumps, which would contain keys and images."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_open_file_limit(count: int) -> int:
    """Allow ``count`` open files and sockets, or as many as the hard limit permits; return the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def shell_command(arguments: str) -> str:
    """Return a ``compareface`` command that works when the operator copies it into a shell.

    In a virtual environment that is not activated, the program is beside Python but not on the ``PATH``.
    """
    program = Path(sys.executable).with_name(_NAME)
    if not program.exists() or shutil.which(_NAME) == str(program):
        return f"{_NAME} {arguments}"
    folder = Path.cwd()
    path = program.relative_to(folder) if program.is_relative_to(folder) else program
    return f"{shlex.quote(str(path))} {arguments}"
