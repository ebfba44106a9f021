"""Conformance driver of tccli, which runs a process per job: reads jobs from standard input and writes outcomes."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Job = dict[str, Any]

TCCLI = str(Path(sys.executable).with_name("tccli"))
EMPTY_OUTCOME = {
    "ok": False,
    "score": None,
    "face_model_version": "",
    "request_id": "",
    "code": "",
    "message": "",
    "exception": "",
    "unsupported": "",
}
ERROR = re.compile(
    r"\[(?P<exception>\w+)\] code:(?P<code>\S*) message:(?P<message>.*) requestId:(?P<request_id>\S*)", re.S
)


def unsupported(job: Job) -> str:
    if job["sign"] != "TC3-HMAC-SHA256" or job["method"] != "POST" or job["unsigned"] or job["skip"]:
        return "tccli only posts JSON, signed by TC3-HMAC-SHA256"
    if job["attempts"] > 1:
        return "tccli does not retry"
    if job["times"] > 1:
        return "tccli takes a second to start"
    if job["untyped"] or job["action"] != "CompareFace":
        return "tccli rejects unknown actions and parameters before it sends them"
    return ""


def response(job: Job, folder: Path) -> dict[str, Any]:
    """Call tccli with its parameters in a file, because images do not fit on the command line."""
    document = folder / "params.json"
    document.write_text(json.dumps(job["params"]))
    options = {
        "cli-input-json": f"file://{document}",
        "endpoint": f"http://{job['endpoint']}",
        "secretId": job["secret_id"],
        "secretKey": job["secret_key"],
        "region": "ap-guangzhou",
        "version": job["version"],
        "token": job["token"],
        "language": job["language"],
    }
    command = [TCCLI, "iai", "CompareFace"]
    for name, value in options.items():
        if value:
            command += [f"--{name}", value]
    home = {"HOME": str(folder)}  # where tccli keeps its configuration and logs
    done = subprocess.run(command, env={**os.environ, **home}, check=False, capture_output=True, text=True)
    error = ERROR.search(done.stderr)
    if error:
        return error.groupdict()
    if done.returncode:
        raise RuntimeError(done.stderr)
    output = json.loads(done.stdout)
    return {
        "ok": True,
        "score": output["Score"],
        "face_model_version": output["FaceModelVersion"],
        "request_id": output["RequestId"],
    }


def outcome(job: Job, folder: Path) -> dict[str, Any]:
    reason = unsupported(job)
    return {**EMPTY_OUTCOME, "name": job["name"], **({"unsupported": reason} if reason else response(job, folder))}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        json.dump([outcome(job, Path(folder)) for job in json.load(sys.stdin)], sys.stdout)
