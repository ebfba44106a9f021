"""Files of ``compareface shadow``: requests as they were recorded, and what came of each.

In: JSON lines, each the body of a CompareFace request, with an ``id`` if it has one, and the ``Score`` or ``Error``
that the cloud gave at the time, if that was kept. Out: JSON lines with the id and, of both services, score, code,
decision and milliseconds. Pictures, addresses of pictures and keys are never written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

OK = "OK"
from app.errors import OperatorError

_BEST = 100
_BEGINNING = b'{"id": "'
"""Of every line of results."""


class RecordError(OperatorError):
    """A file cannot be used; the text is for the operator."""


class Outcome(NamedTuple):
    """What a service made of a request. ``score``: where ``code`` is ``OK``; ``ms``: where it was asked now."""

    code: str
    score: float | None = None
    ms: float | None = None

    def accepted_at(self, threshold: float) -> bool:
        return self.score is not None and self.score >= threshold


class Recorded(NamedTuple):
    """A request: its name, its body, and the cloud's answer at the time, if that was kept."""

    name: str
    body: bytes
    answer: Outcome | None


class Pair(NamedTuple):
    """What both services made of one request."""

    name: str
    here: Outcome
    there: Outcome


class Thresholds(NamedTuple):
    """Scores from which each service's answer counts as the same person."""

    here: float
    there: float


def read_requests(path: Path) -> Iterator[Recorded]:
    """Yield the requests of a file one by one, since all of them may not fit into memory."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _request(json.loads(line))
                except (RecordError, ValueError, TypeError) as error:
                    reason = error if isinstance(error, RecordError) else "not a JSON object as described"
                    raise RecordError(f"{path}, line {number}: {reason}") from None


def _request(line: dict[str, object]) -> Recorded:
    if not isinstance(line, dict):
        raise RecordError("not a JSON object")
    name, answer = line.pop("id", None), _answer(line)
    body = json.dumps(line).encode()
    if name is not None and not (isinstance(name, str) and name):
        raise RecordError("`id` is not a text")
    return Recorded(name or hashlib.sha256(body).hexdigest()[:32], body, answer)


def _answer(line: dict[str, object]) -> Outcome | None:
    score, error = line.pop("Score", None), line.pop("Error", None)
    if isinstance(error, dict):
        error = error.get("Code")
    if score is None and error is None:
        return None
    if isinstance(error, str) and score is None:
        return Outcome(error)
    if isinstance(score, (int, float)) and not isinstance(score, bool) and 0 <= score <= _BEST and error is None:
        return Outcome(OK, float(score))
    raise RecordError("`Score` is no number of 0 to 100, `Error` no code, or there are both")


class Results:
    """The file of results: what it has is not asked again; decisions are made anew by the thresholds of each run.

    It may also have results of other requests, which a run leaves as they are and does not count.
    """

    def __init__(self, path: Path, thresholds: Thresholds) -> None:
        self._path, self._thresholds = path, thresholds
        self.pairs: dict[str, Pair] = {}
        self._counted: list[str] = []
        self.before = 0
        """How many of this run's requests a run before has asked."""

    @classmethod
    def resume(cls, path: Path, thresholds: Thresholds) -> Self:
        """Take over what a run before wrote; a last line that it could not finish is dropped."""
        results = cls(path, thresholds)
        if path.exists():
            *lines, rest = path.read_bytes().split(b"\n")
            for number, line in enumerate(lines if _is_cut_off(rest) else [*lines, rest], start=1):
                try:
                    pair = _pair(json.loads(line))
                except (RecordError, ValueError, TypeError, KeyError):
                    raise RecordError(f"{path}, line {number}: not a line of results") from None
                results.pairs[pair.name] = pair
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)  # who was taken for whom is nobody else's business
        draft.write_bytes(b"".join(results.line(pair) for pair in results.pairs.values()))
        draft.replace(path)
        return results

    def count(self, name: str) -> bool:
        """Count a request as one of this run; return whether it is still to be asked."""
        is_known = name in self.pairs
        self._counted.append(name)
        self.before += is_known
        return not is_known

    def of_this_run(self) -> list[Pair]:
        return [self.pairs[name] for name in self._counted if name in self.pairs]

    def add(self, pair: Pair) -> None:
        self.pairs[pair.name] = pair
        with self._path.open("ab") as stream:
            stream.write(self.line(pair))

    def line(self, pair: Pair) -> bytes:
        """Return a pair as it is written."""
        sides = {side: _told(getattr(pair, side), getattr(self._thresholds, side)) for side in Thresholds._fields}
        return json.dumps({"id": pair.name, **sides}).encode() + b"\n"


def _is_cut_off(line: bytes) -> bool:
    """Whether it is nothing, or the beginning of a line of results: whatever else is there is somebody's file."""
    try:
        json.loads(line)
    except ValueError:
        return line[: len(_BEGINNING)] == _BEGINNING[: len(line)]
    return False


def _told(outcome: Outcome, threshold: float) -> Mapping[str, object]:
    return {**outcome._asdict(), "accepted": outcome.accepted_at(threshold)}


def _pair(line: dict[str, dict[str, object]]) -> Pair:
    name = line["id"]
    if not isinstance(name, str):
        raise TypeError("no name")
    return Pair(name, _outcome(line["here"]), _outcome(line["there"]))


def _outcome(told: dict[str, object]) -> Outcome:
    code, score, ms = told["code"], told["score"], told["ms"]
    if not (
        isinstance(code, str) and isinstance(score, (float, int, type(None))) and isinstance(ms, (float, type(None)))
    ):
        raise TypeError("no outcome")
    return Outcome(code, score, ms)
