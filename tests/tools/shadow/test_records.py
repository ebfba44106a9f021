"""The files of ``compareface shadow``: requests and results."""

import json
from pathlib import Path

import pytest

from app.tools.shadow.records import (
    OK,
    Answer,
    AnswerPair,
    RecordedRequest,
    Results,
    ShadowError,
    Thresholds,
    read_requests,
)

_THRESHOLDS = Thresholds(50, 50)
_INVALID_ANSWER = "needs either a `Score` from 0 to 100 or an `Error` with a code"


def _read(folder: Path, *lines: bytes) -> list[RecordedRequest]:
    path = folder / "requests.jsonl"
    path.write_bytes(b"\n".join(lines))
    return list(read_requests(path))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"id": "\xff"}', "not a JSON object"),
        (b'{"id": 5, "Score": 1}', "`id` must be a non-empty string"),
        (b'{"Score": "1"}', _INVALID_ANSWER),
        (b'{"Score": NaN}', _INVALID_ANSWER),
        (b'{"Score": 1, "Error": "X"}', _INVALID_ANSWER),
        (b'{"Error": {"Message": "x"}, "Score": true}', _INVALID_ANSWER),
    ],
)
def test_an_invalid_request_is_reported_with_its_line_number(line: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ShadowError) as caught:
        _read(tmp_path, b"", line)
    assert str(caught.value) == f"{tmp_path / 'requests.jsonl'}, line 2: {reason}"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"{}", None),
        (b'{"Score": 12}', Answer(OK, 12.0, None)),
        (b'{"Error": "X"}', Answer("X", None, None)),
        (b'{"Error": {"Code": "X", "Message": "y"}}', Answer("X", None, None)),
    ],
)
def test_recorded_answers_are_read(line: bytes, answer: Answer | None, tmp_path: Path) -> None:
    assert _read(tmp_path, line)[0].answer == answer


def test_a_request_without_id_is_identified_by_its_content(tmp_path: Path) -> None:
    first, second, third = _read(tmp_path, b'{"Url": "a", "Score": 1}', b'{"Url": "a", "Score": 1}', b'{"Url": "b"}')
    assert first.id == second.id != third.id


def test_two_different_requests_with_one_id_are_refused(tmp_path: Path) -> None:
    results = Results.resume(tmp_path / "results.jsonl", _THRESHOLDS)
    requests = [RecordedRequest("me", body, None) for body in (b"a", b"a", b"b")]
    with pytest.raises(ShadowError, match=r"^two different requests have the `id` me$"):
        list(results.pending(requests))


_OLD_RESULT = '{"id": "a", "here": {"code": "OK", "score": 5.0, "ms": 1.0, "accepted": false}, "there": null}\n'


@pytest.mark.parametrize(
    "content", [_OLD_RESULT, '{"id": "a", "local": 1}\n', '{"id": "a", "Score": 1}', "\x89PNG", '{"key']
)
def test_a_foreign_or_old_file_is_not_overwritten(content: str, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(content)
    with pytest.raises(ShadowError) as caught:
        Results.resume(out, _THRESHOLDS)
    assert str(caught.value) == (
        f"{out}, line 1: not a result of this version of `compareface shadow`; "
        "give --out a new file, or delete this one to send all requests again"
    )
    assert out.read_text() == content


def test_results_are_written_and_resumed(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    pair = AnswerPair("a", Answer(OK, 50.0, 1.5), Answer("X", None, None))
    Results.resume(out, _THRESHOLDS).add(pair)
    assert json.loads(out.read_text()) == {
        "id": "a",
        "local": {"code": "OK", "score": 50.0, "ms": 1.5, "accepted": True},
        "remote": {"code": "X", "score": None, "ms": None, "accepted": False},
    }
    with out.open("a") as stream:
        stream.write('{"id": "cut o')
    results = Results.resume(out, Thresholds(51, 50))
    assert '"accepted": true' not in out.read_text()
    new = RecordedRequest("new", b"", None)
    assert list(results.pending([RecordedRequest("a", b"", None), new, new])) == [new]
    assert (results.resumed, results.pairs()) == (1, [pair])


def test_only_the_owner_can_read_the_results(tmp_path: Path) -> None:
    Results.resume(tmp_path / "results.jsonl", _THRESHOLDS)
    assert (tmp_path / "results.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_reported_with_the_file() -> None:
    answer = Answer(OK, 12.0, 1.0)
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        Results(Path("/dev/full"), _THRESHOLDS, ()).add(AnswerPair("a", answer, answer))
