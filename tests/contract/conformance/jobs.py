"""Jobs and outcomes, the JSON documents between the tests and the drivers.

A driver is a small program in a client's language. It reads a list of jobs from standard input, runs them one after
another with the options that the client offers, and writes a list of outcomes to standard output.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Job:
    """One call to make. An empty string selects the client's default."""

    name: str
    endpoint: str  # host:port or host:port/path
    secret_id: str
    secret_key: str
    authority: str = ""  # PEM file; with it, the call uses the client's default protocol, https; otherwise plain http
    token: str = ""  # of temporary credentials
    sign: str = "TC3-HMAC-SHA256"
    method: str = "POST"
    unsigned: bool = False  # sign UNSIGNED-PAYLOAD
    skip: bool = False  # send `Authorization: SKIP`
    language: str = ""
    version: str = "2020-03-03"
    action: str = "CompareFace"
    params: Mapping[str, str | int] = field(default_factory=dict)
    untyped: bool = False  # use the generic client instead of the generated classes
    times: int = 1  # consecutive calls; the job ends with the first failure
    attempts: int = 1  # limit of the client's retry feature


@dataclass(frozen=True)
class Outcome:
    """The result of a job, as the client exposes it."""

    name: str
    ok: bool
    score: float | None
    face_model_version: str
    request_id: str
    code: str
    message: str
    exception: str
    unsupported: str  # the reason if the client has no such option


def to_json(jobs: Iterable[Job]) -> str:
    return json.dumps([asdict(job) for job in jobs])


def from_json(text: str) -> dict[str, Outcome]:
    """Return the outcomes by the names of their jobs."""
    return {record["name"]: Outcome(**record) for record in json.loads(text)}
