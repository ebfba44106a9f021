"""Sends valid and invalid requests, generated from the OpenAPI document: ``python -m tests.fuzz.api MINUTES``.

schemathesis generates them for a server without authentication. A defect is a status of 500 or more, a response that
does not match the document, or a traceback in the log. Other checks of schemathesis do not apply, because errors of the
cloud API have status 200.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.server import running_server

_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_OPEN = {"COMPAREFACE_AUTH__MODE": "off", "COMPAREFACE_AUTH__KEYS": "", "COMPAREFACE_LOG__LEVEL": "info"}


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with running_server(_OPEN, log=log) as server:
            code = _run_schemathesis(f"http://{server.endpoint}/openapi.json", minutes)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    requests = sum(line["message"] == "request" for line in lines)
    defects = [line for line in lines if "exception" in line or line.get("code") == "FailedOperation.ServerError"]
    print(f"openapi         {requests:>12,} requests  {'FAILED' if code or defects else 'passed'}")
    sys.stdout.writelines(f"{defect}\n" for defect in defects[:10])
    return 1 if code or defects else 0


def _run_schemathesis(document_url: str, minutes: float) -> int:
    """Run schemathesis with a new seed each time until ``minutes`` have passed or it fails; return its exit status."""
    until, code, seed = time.monotonic() + 60 * minutes, 0, 0
    while time.monotonic() < until and not code:
        seed += 1
        command = [
            "schemathesis",
            "run",
            document_url,
            f"--checks={_CHECKS}",
            "--phases=examples,coverage,fuzzing",
            f"--seed={seed}",
            "--max-examples=200",
            "--no-color",
        ]
        result = subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        code = result.returncode
        if code:
            print(result.stdout[-6000:])
    return code


if __name__ == "__main__":
    sys.exit(main())
