"""Conformance driver of curl: every job goes through the script that signs as the vendor's documentation does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Job = dict[str, Any]

SCRIPT = str(Path(__file__).with_name("documented.sh"))
NOTHING = {
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
        return "only SDKs leave something unsigned"
    if job["attempts"] > 1:
        return "curl retries by HTTP status only"
    if job["method"] == "GET" and job["sign"] == "TC3-HMAC-SHA256":
        return "the documented script only posts JSON"
    return ""


def send(job: Job) -> dict[str, Any]:
    """Return what is under ``Response``."""
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
        return {**NOTHING, "name": job["name"], "unsupported": reason}
    for _ in range(job["times"]):
        answer = send(job)
        if "Error" in answer:
            break
    error = answer.get("Error")
    return {
        **NOTHING,
        "name": job["name"],
        "ok": error is None,
        "score": answer.get("Score"),
        "face_model_version": answer.get("FaceModelVersion", ""),
        "request_id": answer["RequestId"],
        "code": error["Code"] if error else "",
        "message": error["Message"] if error else "",
        "exception": "Error" if error else "",
    }


if __name__ == "__main__":
    json.dump([outcome(job) for job in json.load(sys.stdin)], sys.stdout)
