"""Files of ``compareface shadow``: recorded requests, and the answers of both services.

Requests are JSON lines: the body of a CompareFace request, optionally with an ``id`` and with the ``Score`` or
``Error`` that the cloud returned. Results are JSON lines: the ``id`` and, as ``local`` and ``remote``, code, score,
milliseconds and decision of each service. Images, their URLs and keys are never written.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from app.errors import OperatorError
from app.tools.files import named

OK = "OK"

_MAX_SCORE = 100
_RESULT_PREFIX = b'{"id": "'
"""The first bytes of every line of results."""


class ShadowError(OperatorError):
    """The run cannot start or continue; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service: ``OK`` and a score, or an error code; ``ms``: latency, None if recorded earlier."""

    code: str
    score: float | None
    ms: float | None

    def is_accepted(self, threshold: float) -> bool:
        return self.score is not None and self.score >= threshold


class RecordedRequest(NamedTuple):
    """The JSON body of a request, and the recorded answer of the cloud, if there is one."""

    id: str
    body: bytes
    answer: Answer | None


class Thresholds(NamedTuple):
    """The lowest score that counts as the same person, for each service."""

    local: float
    remote: float


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The answers of both services to the request ``id``."""

    id: str
    local: Answer
    remote: Answer

    def decisions(self, thresholds: Thresholds) -> tuple[bool, bool]:
        """Return whether the local and the remote service accept the two images as the same person."""
        return self.local.is_accepted(thresholds.local), self.remote.is_accepted(thresholds.remote)


_PAIR = TypeAdapter(AnswerPair)


def read_requests(path: Path) -> Iterator[RecordedRequest]:
    """Yield the requests of a file one by one, because the file may be larger than the memory."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _parse_request(line)
                except ShadowError as error:
                    raise ShadowError(f"{path}, line {number}: {error}") from None


def _parse_request(line: bytes) -> RecordedRequest:
    try:
        body = json.loads(line)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ShadowError("not a JSON object")
    request_id, answer = body.pop("id", None), _recorded_answer(body.pop("Score", None), body.pop("Error", None))
    encoded = json.dumps(body).encode()
    if request_id is not None and not (isinstance(request_id, str) and request_id):
        raise ShadowError("`id` must be a non-empty string")
    return RecordedRequest(request_id or hashlib.sha256(encoded).hexdigest()[:32], encoded, answer)


def _recorded_answer(score: object, error: object) -> Answer | None:
    code = error.get("Code") if isinstance(error, dict) else error
    match score, code:
        case None, None:
            return None
        case None, str():
            return Answer(code, None, None)
        case int() | float(), None if not isinstance(score, bool) and 0 <= score <= _MAX_SCORE:
            return Answer(OK, float(score), None)
    raise ShadowError("needs either a `Score` from 0 to 100 or an `Error` with a code")


class Results:
    """The file of results. A run sends only requests without results and applies its thresholds to all results.

    Results of requests that are not in this run stay in the file, but are not counted.
    """

    def __init__(self, path: Path, thresholds: Thresholds, pairs: Iterable[AnswerPair]) -> None:
        self._path, self._thresholds = path, thresholds
        self._pairs = {pair.id: pair for pair in pairs}
        self._body_hashes: dict[str, int] = {}  # of the requests of this run, by id
        self.resumed = 0
        """Number of requests of this run that had results before."""

    @classmethod
    def resume(cls, path: Path, thresholds: Thresholds) -> Self:
        """Read the results of earlier runs and rewrite the file; an incomplete last line is dropped."""
        results = cls(path, thresholds, _read_pairs(path) if path.exists() else ())
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)  # decisions about people are private
        with named(path):
            draft.write_bytes(b"".join(map(results._line, results._pairs.values())))
        draft.replace(path)
        return results

    def pending(self, requests: Iterable[RecordedRequest]) -> Iterator[RecordedRequest]:
        """Yield each request of the run that has no results, once.

        Raise :class:`ShadowError` if two different requests have the same id.
        """
        for request in requests:
            body_hash = hash(request.body)
            if request.id not in self._body_hashes:
                self._body_hashes[request.id] = body_hash
                if request.id in self._pairs:
                    self.resumed += 1
                else:
                    yield request
            elif self._body_hashes[request.id] != body_hash:
                raise ShadowError(f"two different requests have the `id` {request.id}")

    def add(self, pair: AnswerPair) -> None:
        self._pairs[pair.id] = pair
        with named(self._path), self._path.open("ab") as stream:
            stream.write(self._line(pair))

    def pairs(self) -> list[AnswerPair]:
        """Return the results of the requests of this run."""
        return [self._pairs[request_id] for request_id in self._body_hashes if request_id in self._pairs]

    def _line(self, pair: AnswerPair) -> bytes:
        local_accepts, remote_accepts = pair.decisions(self._thresholds)
        local = {**asdict(pair.local), "accepted": local_accepts}
        remote = {**asdict(pair.remote), "accepted": remote_accepts}
        return json.dumps({"id": pair.id, "local": local, "remote": remote}).encode() + b"\n"


def _read_pairs(path: Path) -> Iterator[AnswerPair]:
    *lines, last = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines if _is_incomplete(last) else [*lines, last], start=1):
        try:
            yield _PAIR.validate_json(line, strict=True)
        except ValidationError:
            raise ShadowError(
                f"{path}, line {number}: not a result of this version of `compareface shadow`; "
                "give --out a new file, or delete this one to send all requests again"
            ) from None


def _is_incomplete(line: bytes) -> bool:
    """Return whether ``line`` is empty or a truncated line of results. Any other text belongs to a foreign file."""
    try:
        json.loads(line)
    except ValueError:
        return line[: len(_RESULT_PREFIX)] == _RESULT_PREFIX[: len(line)]
    return False
