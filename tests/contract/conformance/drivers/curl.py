"""Conformance driver of curl: a script signs every job as the vendor's documentation describes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Job = dict[str, Any]

SCRIPT = str(Path(__file__).with_name("documented.sh"))
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


def unsupported(job: Job) -> str:
    if job["unsigned"] or job["skip"]:
        return "only SDKs can send unsigned requests"
    if job["attempts"] > 1:
        return "curl retries by HTTP status only"
    if job["method"] == "GET" and job["sign"] == "TC3-HMAC-SHA256":
        return "the documented script only posts JSON"
    return ""


def send(job: Job) -> dict[str, Any]:
    """Return the value of ``Response``."""
    settings = {
        "ENDPOINT": job["endpoint"],
        "SECRET_ID": job["secret_id"],
        "SECRET_KEY": job["secret_key"],
        "TOKEN": job["token"],
        "SIGN": job["sign"],
        "METHOD": job["method"],
        "SIGNED_LANGUAGE": job["language"],
        "VERSION": job["version"],
        "ACTION": job["action"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "body.json").write_text(json.dumps(job["params"]))
        (folder / "params").mkdir()
        for parameter, value in job["params"].items():
            (folder / "params" / parameter).write_text(str(value))
        command = ["bash", SCRIPT, name]
        done = subprocess.run(command, env={**os.environ, **settings}, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout)["Response"])


def outcome(job: Job) -> dict[str, Any]:
    reason = unsupported(job)
    if reason:
        return {**EMPTY_OUTCOME, "name": job["name"], "unsupported": reason}
    for _ in range(job["times"]):
        response = send(job)
        if "Error" in response:
            break
    error = response.get("Error")
    return {
        **EMPTY_OUTCOME,
        "name": job["name"],
        "ok": error is None,
        "score": response.get("Score"),
        "face_model_version": response.get("FaceModelVersion", ""),
        "request_id": response["RequestId"],
        "code": error["Code"] if error else "",
        "message": error["Message"] if error else "",
        "exception": "Error" if error else "",
    }


if __name__ == "__main__":
    json.dump([outcome(job) for job in json.load(sys.stdin)], sys.stdout)
