"""Requests of real SDKs, recorded byte by byte (../shared/spec/wire_dumps), verify; changed by one byte they do not."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.api.auth import Authenticator
from app.api.request import CloudRequest
from app.config import AuthSettings
from app.errors import ApiError

pytestmark = pytest.mark.shared

_DUMPS = Path(__file__).resolve().parents[2].parent / "shared" / "spec" / "wire_dumps"
_VERDICT = b"---- not part of the request: verifier says ----"
_FEWEST = 130


@dataclass(frozen=True)
class Recorded:
    name: str
    request: CloudRequest

    @property
    def is_unsigned(self) -> bool:
        return "x-tc-content-sha256" in self.request.headers


def _parse(raw: bytes) -> CloudRequest:
    head, _, rest = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    pairs = (header.partition(":") for header in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = rest[: int(headers.get("content-length", "0"))]
    return CloudRequest(method, target.partition("?")[2], headers, body)


def _recorded() -> list[Recorded]:
    found = []
    for path in sorted(_DUMPS.glob("*/*.txt")):
        raw, mark, verdict = path.read_bytes().partition(_VERDICT)
        if mark and path.name != "_summary.txt" and json.loads(verdict).get("scheme") == "TC3":
            found.append(Recorded(f"{path.parent.name}/{path.stem}", _parse(raw)))
    return found


RECORDED = _recorded()


def _verifies(request: CloudRequest, now: str, key: str = "SECRETEXAMPLE") -> bool:
    settings = AuthSettings.model_validate({"keys": f"AKIDEXAMPLE:{key}"})
    subject = Authenticator(settings, is_open=False, clock=lambda: float(now))
    try:
        subject.verify(request, subject.examine(request))
    except ApiError:
        return False
    return True


def _with_header(request: CloudRequest, name: str, value: str) -> CloudRequest:
    return replace(request, headers={**request.headers, name: value})


def test_there_are_enough_recordings() -> None:
    assert len(RECORDED) >= _FEWEST
    assert {recorded.name.partition("/")[0] for recorded in RECORDED} >= {"curl", "go", "node", "python"}


def test_every_recorded_request_verifies() -> None:
    refused = [one.name for one in RECORDED if not _verifies(one.request, one.request.timestamp)]
    assert refused == []


def test_no_recorded_request_verifies_with_another_key() -> None:
    taken = [one.name for one in RECORDED if _verifies(one.request, one.request.timestamp, "SECRETEXAMPLF")]
    assert taken == []


def test_no_recorded_request_verifies_with_another_timestamp() -> None:
    taken = []
    for one in RECORDED:
        later = str(int(one.request.timestamp) + 1)
        if _verifies(_with_header(one.request, "x-tc-timestamp", later), later):
            taken.append(one.name)
    assert taken == []


def test_no_recorded_request_verifies_with_another_payload() -> None:
    taken, tried = [], 0
    for one in RECORDED:
        request = one.request
        if request.method == "GET":
            changed = replace(request, query=request.query + "x")
        elif one.is_unsigned:
            continue
        else:
            changed = request.with_body(bytes([request.body[0] ^ 1]) + request.body[1:])
        tried += 1
        if _verifies(changed, request.timestamp):
            taken.append(one.name)
    assert tried >= _FEWEST - 10
    assert taken == []


def test_unsigned_payloads_may_change() -> None:
    posts = [one.request for one in RECORDED if one.is_unsigned and one.request.method == "POST"]
    assert len(posts) >= 3
    assert all(_verifies(request.with_body(b"{}"), request.timestamp) for request in posts)
