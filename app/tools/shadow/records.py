"""Files of ``compareface shadow``: recorded requests, and the answers of both services.

Requests are JSON lines: the body of a CompareFace request, optionally with an ``id`` and with the ``Score`` or
``Error`` that the cloud returned. Results are JSON lines: the ``id`` and, as ``local`` and ``remote``, score, code,
decision and milliseconds of each service. Images, their URLs and keys are never written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from app.errors import OperatorError

OK = "OK"

_MAX_SCORE = 100
_RESULT_PREFIX = b'{"id": "'
"""The first bytes of every line of results."""


class RecordError(OperatorError):
    """A file cannot be used; the message says why."""


class Outcome(NamedTuple):
    """The answer of a service. ``score``: if ``code`` is ``OK``; ``ms``: latency, if the answer was not recorded."""

    code: str
    score: float | None = None
    ms: float | None = None

    def accepted_at(self, threshold: float) -> bool:
        return self.score is not None and self.score >= threshold


class RecordedRequest(NamedTuple):
    """A request: its name, its body, and the recorded answer of the cloud, if there is one."""

    name: str
    body: bytes
    answer: Outcome | None


class OutcomePair(NamedTuple):
    """The answers of both services to one request."""

    name: str
    local: Outcome
    remote: Outcome


class Thresholds(NamedTuple):
    """The lowest score that counts as the same person, for each service."""

    local: float
    remote: float


def read_requests(path: Path) -> Iterator[RecordedRequest]:
    """Yield the requests of a file one by one, because the file may be larger than the memory."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _request(json.loads(line))
                except (RecordError, ValueError, TypeError) as error:
                    reason = error if isinstance(error, RecordError) else "not a JSON object"
                    raise RecordError(f"{path}, line {number}: {reason}") from None


def _request(line: dict[str, object]) -> RecordedRequest:
    if not isinstance(line, dict):
        raise RecordError("not a JSON object")
    name, answer = line.pop("id", None), _recorded_answer(line)
    body = json.dumps(line).encode()
    if name is not None and not (isinstance(name, str) and name):
        raise RecordError("`id` must be a non-empty string")
    return RecordedRequest(name or hashlib.sha256(body).hexdigest()[:32], body, answer)


def _recorded_answer(line: dict[str, object]) -> Outcome | None:
    """Remove the answer from ``line`` and return it."""
    score, error = line.pop("Score", None), line.pop("Error", None)
    if isinstance(error, dict):
        error = error.get("Code")
    if score is None and error is None:
        return None
    if isinstance(error, str) and score is None:
        return Outcome(error)
    if isinstance(score, (int, float)) and not isinstance(score, bool) and 0 <= score <= _MAX_SCORE and error is None:
        return Outcome(OK, float(score))
    raise RecordError("needs either a `Score` from 0 to 100 or an `Error` with a code")


class Results:
    """The file of results. Requests that have results are not sent again; each run applies its own thresholds.

    Results of requests that are not in this run stay in the file, but are not counted.
    """

    def __init__(self, path: Path, thresholds: Thresholds) -> None:
        self._path, self._thresholds = path, thresholds
        self.pairs: dict[str, OutcomePair] = {}
        self._selected: list[str] = []
        self.resumed = 0
        """Number of selected requests that had results before this run."""

    @classmethod
    def resume(cls, path: Path, thresholds: Thresholds) -> Self:
        """Read the results of earlier runs and rewrite the file; an incomplete last line is dropped."""
        results = cls(path, thresholds)
        if path.exists():
            *lines, last = path.read_bytes().split(b"\n")
            for number, line in enumerate(lines if _is_incomplete(last) else [*lines, last], start=1):
                try:
                    pair = _pair(json.loads(line))
                except (RecordError, ValueError, TypeError, KeyError):
                    raise RecordError(f"{path}, line {number}: not a line of results") from None
                results.pairs[pair.name] = pair
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)  # decisions about people are private
        draft.write_bytes(b"".join(results.line(pair) for pair in results.pairs.values()))
        draft.replace(path)
        return results

    def select(self, name: str) -> bool:
        """Count a request in this run; return whether it still has to be sent."""
        is_known = name in self.pairs
        self._selected.append(name)
        self.resumed += is_known
        return not is_known

    def selected(self) -> list[OutcomePair]:
        """Return the results of the requests of this run."""
        return [self.pairs[name] for name in self._selected if name in self.pairs]

    def add(self, pair: OutcomePair) -> None:
        self.pairs[pair.name] = pair
        with self._path.open("ab") as stream:
            stream.write(self.line(pair))

    def line(self, pair: OutcomePair) -> bytes:
        """Return a pair as one line of the file."""
        sides = {side: _record(getattr(pair, side), getattr(self._thresholds, side)) for side in Thresholds._fields}
        return json.dumps({"id": pair.name, **sides}).encode() + b"\n"


def _is_incomplete(line: bytes) -> bool:
    """Return whether ``line`` is empty or the beginning of a line of results; any other text is a foreign file."""
    try:
        json.loads(line)
    except ValueError:
        return line[: len(_RESULT_PREFIX)] == _RESULT_PREFIX[: len(line)]
    return False


def _record(outcome: Outcome, threshold: float) -> Mapping[str, object]:
    return {**outcome._asdict(), "accepted": outcome.accepted_at(threshold)}


def _pair(line: dict[str, dict[str, object]]) -> OutcomePair:
    name = line["id"]
    if not isinstance(name, str):
        raise TypeError("`id` is not a string")
    return OutcomePair(name, _outcome(line["local"]), _outcome(line["remote"]))


def _outcome(record: dict[str, object]) -> Outcome:
    code, score, ms = record["code"], record["score"], record["ms"]
    if not (
        isinstance(code, str) and isinstance(score, (float, int, type(None))) and isinstance(ms, (float, type(None)))
    ):
        raise TypeError("not an outcome")
    return Outcome(code, score, ms)
