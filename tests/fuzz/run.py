"""Run the fuzzers: ``python -m tests.fuzz.run MINUTES [TARGET...]``, each for so long.

``python -m tests.fuzz.run TARGET FILE`` tries one input again. Each target runs in a process of its own under atheris
(libFuzzer), guided by the coverage of our Python code. What it finds is kept in ``.fuzz/corpus``, what breaks a target
in ``.fuzz/crashes``. Prints for each how many inputs were tried; the exit code is 1 when any target broke.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import CORPUS

_FOUND = Path(".fuzz/corpus")
_CRASHES = Path(".fuzz/crashes")
_LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536")
NAMES = ("base64_text", "authorization", "signed_request", "form", "multipart", "json", "picture")
_TRIED = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--target"]:
        _fuzz(arguments[1], arguments[2:])
        return 0
    if len(arguments) == 2 and arguments[0] in NAMES:
        return subprocess.run(_command(arguments[0], arguments[1]), check=False).returncode
    minutes, *names = arguments or ["1"]
    return max(_run(name, float(minutes)) for name in names or NAMES)


def _run(name: str, minutes: float) -> int:
    """Fuzz one target; return 1 when it broke."""
    found = _FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    _CRASHES.mkdir(parents=True, exist_ok=True)
    command = _command(
        name,
        f"-max_total_time={minutes * 60:.0f}",
        f"-artifact_prefix={_CRASHES / name}-",
        "-print_final_stats=1",
        str(found),
        str(CORPUS / name),
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    tried = _TRIED.search(done.stdout)
    print(
        f"{name:<16}{int(tried[1]) if tried else 0:>12,} inputs  {'BROKEN' if done.returncode else 'held'}", flush=True
    )
    if done.returncode:
        print(done.stdout.decode(errors="replace")[-4000:])
        print(f"again: python -m tests.fuzz.run {name} FILE of {_CRASHES}")
    return 1 if done.returncode else 0


def _command(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.run", "--target", name, *_LIMITS, *options]


def _fuzz(name: str, options: list[str]) -> None:
    import atheris  # noqa: PLC0415 - only in the process of a target

    with atheris.instrument_imports(include=["app", "python_multipart"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
