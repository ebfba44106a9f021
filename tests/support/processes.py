"""The processes of a server, and their CPU time and memory, read from ``/proc`` (Linux)."""

import os
import re
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
    return [int(child) for children in threads for child in children.read_text().split()]


def server_processes(supervisor: int) -> list[int]:
    """Return the server processes of a supervisor, without their decoders and Python's resource tracker."""
    commands = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in child_processes(supervisor)}
    return [child for child, command in commands.items() if b"multiprocessing.spawn" in command]


def process_status(pid: int) -> dict[str, int]:
    """Return the numbers of ``/proc/PID/status``; memory in KiB."""
    lines = re.findall(r"^(\w+):\s+([0-9]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {name: int(value) for name, value in lines}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
