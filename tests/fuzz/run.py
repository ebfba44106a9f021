"""Run the fuzzers: ``python -m tests.fuzz.run MINUTES [TARGET...]``, each for this time.

``python -m tests.fuzz.run TARGET FILE`` runs a single input. Each target runs in a separate process under atheris
(libFuzzer), guided by the coverage of this project's Python code. New inputs are kept in ``.fuzz/corpus``, inputs that
fail in ``.fuzz/crashes``. Prints the number of inputs per target; the exit status is 1 if a target failed.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import CORPUS

_NEW_INPUTS = Path(".fuzz/corpus")
_CRASHES = Path(".fuzz/crashes")
_LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536")
NAMES = ("base64_text", "authorization", "signed_request", "form", "multipart", "json", "image")
_INPUT_COUNT = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--target"]:
        _fuzz(arguments[1], arguments[2:])
        return 0
    if len(arguments) == 2 and arguments[0] in NAMES:
        return subprocess.run(_command(arguments[0], arguments[1]), check=False).returncode
    minutes, *names = arguments or ["1"]
    return max(_run(name, float(minutes)) for name in names or NAMES)


def _run(name: str, minutes: float) -> int:
    """Fuzz one target; return 1 if it failed."""
    new_inputs = _NEW_INPUTS / name
    new_inputs.mkdir(parents=True, exist_ok=True)
    _CRASHES.mkdir(parents=True, exist_ok=True)
    command = _command(
        name,
        f"-max_total_time={minutes * 60:.0f}",
        f"-artifact_prefix={_CRASHES / name}-",
        "-print_final_stats=1",
        str(new_inputs),
        str(CORPUS / name),
    )
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    count = _INPUT_COUNT.search(result.stdout)
    print(
        f"{name:<16}{int(count[1]) if count else 0:>12,} inputs  {'FAILED' if result.returncode else 'passed'}",
        flush=True,
    )
    if result.returncode:
        print(result.stdout.decode(errors="replace")[-4000:])
        print(f"reproduce: python -m tests.fuzz.run {name} {_CRASHES}/FILE")
    return 1 if result.returncode else 0


def _command(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.run", "--target", name, *_LIMITS, *options]


def _fuzz(name: str, options: list[str]) -> None:
    import atheris  # noqa: PLC0415 - an extra package, which the test of the corpus does not need

    with atheris.instrument_imports(include=["app", "python_multipart"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - imported with instrumentation

    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
