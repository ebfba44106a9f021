"""The processes of a server, and their CPU time and memory, read from ``/proc`` (Linux)."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path


def process_tree(pid: int) -> Iterator[int]:
    """Yield a process and its running descendants."""
    yield pid
    for child in child_processes(pid):
        yield from process_tree(child)


def child_processes(pid: int) -> list[int]:
    """Return the running children of a process, those of each thread oldest first."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in threads for child in _content(children).split()]


def server_processes(supervisor: int) -> list[int]:
    """Return the server processes of a supervisor, without their decoders and Python's resource tracker."""
    children = child_processes(supervisor)
    return [child for child in children if b"multiprocessing.spawn" in _content(Path(f"/proc/{child}/cmdline"))]


def wait_for_replacement(supervisor: int, killed: int, timeout_s: float = 60.0) -> None:
    """Wait until two server processes besides ``killed`` have their decoders, the last step before they are ready."""
    until = time.monotonic() + timeout_s
    while sum(bool(child_processes(pid)) for pid in server_processes(supervisor) if pid != killed) < 2:
        if time.monotonic() > until:
            raise TimeoutError("the killed process was not replaced")
        time.sleep(0.1)


def _content(file: Path) -> bytes:
    """Return the content of a file in ``/proc``, nothing if the process has exited."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def process_status(pid: int) -> dict[str, int]:
    """Return the numbers of ``/proc/PID/status``; memory in KiB."""
    lines = re.findall(r"^(\w+):\s+([0-9]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {name: int(value) for name, value in lines}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
