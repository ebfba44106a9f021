"""Jobs and outcomes, which the tests exchange with drivers as JSON.

A driver is a small program in a client's language. It reads a list of jobs from standard input, carries them out one
after the other with the options that the client itself offers, and writes a list of outcomes to standard output.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Job:
    """One thing to do. Empty texts stand for the client's default."""

    name: str
    endpoint: str  # host:port, plain http
    secret_id: str
    secret_key: str
    token: str = ""  # of temporary credentials
    sign: str = "TC3-HMAC-SHA256"
    method: str = "POST"
    unsigned: bool = False  # sign UNSIGNED-PAYLOAD
    skip: bool = False  # send `Authorization: SKIP`
    language: str = ""
    version: str = "2020-03-03"
    action: str = "CompareFace"
    params: Mapping[str, str | int] = field(default_factory=dict)
    untyped: bool = False  # by the generic client instead of the generated classes
    times: int = 1  # calls back to back; the first that fails is the last
    attempts: int = 1  # of the client's own retry feature


@dataclass(frozen=True)
class Outcome:
    """What came back, as the client exposes it."""

    name: str
    ok: bool
    score: float | None
    face_model_version: str
    request_id: str
    code: str
    message: str
    exception: str
    unsupported: str  # why the client offers no such thing


def to_json(jobs: Iterable[Job]) -> str:
    return json.dumps([asdict(job) for job in jobs])


def from_json(text: str) -> dict[str, Outcome]:
    """Outcomes by the names of their jobs."""
    return {record["name"]: Outcome(**record) for record in json.loads(text)}
