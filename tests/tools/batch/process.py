"""``compareface batch`` in a process, and its output."""

import csv
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def batch_command(pairs: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "app", "batch", str(pairs), "--out", str(out)]


def run_batch(pairs: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(batch_command(pairs, out), capture_output=True, text=True, timeout=120, check=False)


def read_table(out: Path) -> list[Mapping[str, str]]:
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))
