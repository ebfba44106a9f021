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
    return f"{_quoted(program)} {arguments}"


def pip_command(arguments: str) -> str:
    """Return a ``pip`` command for the Python of this process, also if its virtual environment is not activated."""
    return f"{_quoted(Path(sys.executable))} -m pip {arguments}"


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this program; it runs in the checkout."""
    source = Path(__file__).resolve().parents[2]
    is_elsewhere = (source / "pyproject.toml").is_file() and source != Path.cwd()
    checkout = source if is_elsewhere else "."
    return pip_command(f"install -e {shlex.quote(f'{checkout}[{extra}]')}")


def _quoted(program: Path) -> str:
    """Return the path for a shell, relative to the current folder if it is below."""
    folder = Path.cwd()
    return shlex.quote(str(program.relative_to(folder) if program.is_relative_to(folder) else program))
