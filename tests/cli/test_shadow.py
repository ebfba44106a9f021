"""``compareface shadow``: real requests to two real services, one of which speaks for the cloud."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from app.tools.shadow import replay
from app.tools.shadow.records import OK
from tests.support.images import another_shot, astronaut, cast, jpeg, shrunk
from tests.support.server import Server, free_port, running_server

_CLOUD_ID, _CLOUD_KEY = "AKIDcloud", "the-key-of-the-cloud"
_CALLERS = f"""
[callers.{_CLOUD_ID}]
keys = [{{ label = "1", secret_key = "{_CLOUD_KEY}" }}]
default_face_model_version = "2.0"
[callers.AKIDslow]
keys = [{{ label = "1", secret_key = "slow" }}]
requests_per_second = 1
"""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_FACE = _text(jpeg(shrunk(astronaut(), 256)))
_REQUESTS: dict[str, dict[str, object]] = {
    "itself": {"ImageA": _FACE, "ImageB": _FACE},
    "another shot": {"ImageA": _FACE, "ImageB": _text(jpeg(another_shot(astronaut())))},
    "somebody else": {"ImageA": _FACE, "ImageB": _text(jpeg(cast()[:600, :500]))},
    "nobody": {"ImageA": _text(jpeg(np.full((128, 128, 3), 128, np.uint8))), "ImageB": _FACE},
    "broken": {"ImageA": _FACE, "ImageB": _FACE[: len(_FACE) // 2]},
    "empty": {"ImageA": _FACE, "QualityControl": 0},
}
_ODD = "`Score` is no number of 0 to 100, `Error` no code, or there are both"
_CODES = {
    "nobody": "InvalidParameterValue.NoFaceInPhoto",
    "broken": "FailedOperation.ImageDecodeFailed",
    "empty": "InvalidParameterValue.ImageEmpty",
}


@pytest.fixture(scope="module")
def here() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same models under the thresholds 70, 80 and 90 of `FaceModelVersion` 2.0."""
    keys = tmp_path_factory.mktemp("there") / "keys.toml"
    keys.write_text(_CALLERS)
    with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}) as server:
        yield server


@pytest.fixture(autouse=True)
def _keys(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{here.secret_id}:{here.secret_key}")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", _CLOUD_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", _CLOUD_KEY)


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def _named(**added: object) -> list[dict[str, object]]:
    return [{"id": name, **body, **added} for name, body in _REQUESTS.items()]


def _shadow(here: Server | str, requests: Path, *options: str) -> int:
    address = here if isinstance(here, str) else here.endpoint
    out = str(requests.with_name("results.jsonl"))
    return main(["shadow", str(requests), "--out", out, "--endpoint", f"http://{address}", "--rate", "100", *options])


def _results(folder: Path) -> dict[str, Any]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    found = {line["id"]: line for line in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


def test_two_services_agree_at_the_threshold_of_each(
    here: Server, there: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests, against = _file(tmp_path, *_named()), ["--against", f"http://{there.endpoint}", "--threshold-there", "80"]
    assert _shadow(here, requests, *against, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["same_decision"]["value"], told["same_code"]["value"]) == (6, 1.0, 1.0)
    assert told["same_decision_of_scored"]["of"] == 3
    assert told["decisions"] == {"accepted_by_both": 2, "only_here": 0, "only_there": 0, "by_neither": 4}
    assert {(each["here"], each["requests"]) for each in told["codes"]} == {(OK, 3), *((c, 1) for c in _CODES.values())}
    assert told["correlation"]["spearman"] == pytest.approx(1)
    assert told["here"]["median_ms"] > 0 < told["there"]["median_ms"]
    results = _results(tmp_path)
    assert {name: line["there"]["code"] for name, line in results.items() if name in _CODES} == _CODES
    assert results["another shot"]["here"]["score"] < results["another shot"]["there"]["score"] < 100


def test_results_have_neither_pictures_nor_keys(here: Server, there: Server, tmp_path: Path) -> None:
    assert _shadow(here, _file(tmp_path, *_named()), "--against", f"http://{there.endpoint}") == 0
    line = _results(tmp_path)["itself"]
    assert line.keys() == {"id", "here", "there"}
    assert line["here"].keys() == line["there"].keys() == {"code", "score", "ms", "accepted"}
    text = (tmp_path / "results.jsonl").read_text()
    secrets = (_FACE[:40], here.secret_key, _CLOUD_KEY, "Image", "Signature")
    assert [secret for secret in secrets if secret in text] == ["Image"]  # as part of ImageDecodeFailed, ImageEmpty


def test_recorded_answers_are_not_asked_again(here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _named()
    answers: list[dict[str, object]] = [
        {"Score": 100}, {"Score": 12.5}, {"Score": 3.0}, {"Error": _CODES["nobody"]},
        {"Error": {"Code": "X", "Message": "y"}}, {"Error": "X"},
    ]  # fmt: skip
    requests = _file(tmp_path, *({**line, **answer} for line, answer in zip(lines, answers, strict=True)))
    assert _shadow(here, requests) == 0
    text = capsys.readouterr().out
    assert "same decision             83.33 % [43.65, 96.99] of 6" in text
    assert "accepted by both 1, only here 1, only there 0, by neither 4" in text
    results = _results(tmp_path)
    assert results["another shot"]["there"] == {"code": OK, "score": 12.5, "ms": None, "accepted": False}
    assert results["another shot"]["here"]["accepted"]
    assert results["broken"]["there"]["code"] == results["empty"]["there"]["code"] == "X"


def test_an_interrupted_run_goes_on_and_decides_by_the_thresholds_of_now(
    here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = _file(tmp_path, *_named(Score=60))
    assert _shadow(here, requests) == 0
    whole, out = _results(tmp_path), tmp_path / "results.jsonl"
    out.write_bytes(b"\n".join(out.read_bytes().split(b"\n")[:4]) + b'\n{"id": "cut o')
    assert _shadow(here, requests) == 0
    assert _results(tmp_path).keys() == whole.keys()
    capsys.readouterr()
    # Nobody is there any more, and nobody has to be.
    assert _shadow(f"127.0.0.1:{free_port()}", requests, "--threshold-there", "61", "--json") == 0
    assert json.loads(capsys.readouterr().out)["decisions"]["only_there"] == 0
    assert [line["there"]["accepted"] for line in _results(tmp_path).values()] == [False] * 6


def test_a_run_counts_its_own_requests_and_says_which_were_asked_before(
    here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *others, mine, first = _named(Score=60)
    assert _shadow(here, _file(tmp_path, *others, mine)) == 0
    assert "asked before              0\n" in capsys.readouterr().out
    assert _shadow(here, _file(tmp_path, mine, first, mine), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["asked_before"]) == (2, 1)
    assert {each["here"] for each in told["codes"]} == {_CODES["broken"], _CODES["empty"]}
    assert len(_results(tmp_path)) == 6, "those of other requests are left as they are"


def test_a_request_without_a_name_is_known_by_its_content(here: Server, tmp_path: Path) -> None:
    line = {**_REQUESTS["empty"], "Score": 1}
    assert _shadow(here, _file(tmp_path, line, line, {**line, "QualityControl": 1})) == 0
    assert len(_results(tmp_path)) == 2


def test_a_limit_is_waited_for(there: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "AKIDslow:slow")
    requests = _file(tmp_path, *_named(Score=1)[-3:])
    assert _shadow(there, requests, "--concurrency", "2") == 0
    assert {name: line["here"]["code"] for name, line in _results(tmp_path).items()} == _CODES


def test_a_refused_key_ends_the_run(
    here: Server, there: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "another")
    assert _shadow(here, _file(tmp_path, *_named()), "--against", f"http://{there.endpoint}") == 1
    assert capsys.readouterr().err == f"compareface: http://{there.endpoint} answers AuthFailure.SignatureFailure\n"
    assert _results(tmp_path) == {}


def test_who_got_no_answer_is_left_for_another_run(
    here: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_PAUSES_S", (0.1,))
    requests = _file(tmp_path, *_named(Score=1)[:2])
    nobody = f"127.0.0.1:{free_port()}"
    assert _shadow(nobody, requests) == 1
    why = f"(http://{nobody}: All connection attempts failed)"
    assert capsys.readouterr().err.endswith(f"compareface: 2 requests got no answer {why}; run it again to ask them\n")
    assert _shadow(here, requests) == 0
    assert len(_results(tmp_path)) == 2


def test_many_without_an_answer_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_PAUSES_S", (0.1,))
    requests = _file(tmp_path, *({"id": f"{n}", "Score": 1} for n in range(1000)))
    nobody = f"127.0.0.1:{free_port()}"
    assert _shadow(nobody, requests, "--concurrency", "20") == 1
    why = f"(http://{nobody}: All connection attempts failed)"
    said = f"compareface: 20 requests in a row got no answer {why}; what was answered is kept\n"
    assert capsys.readouterr().err == said


class _Proxy(BaseHTTPRequestHandler):
    """Takes no large bodies, and says so as nginx does; all others get an answer."""

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.rfile.read(size)
        is_large = size > 1000
        self.send_response(413 if is_large else 200)
        self.end_headers()
        self.wfile.write(b"<html>" if is_large else b'{"Response": {"Error": {"Code": "X"}}}')

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


def test_some_without_an_answer_among_others_do_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_PAUSES_S", ())
    monkeypatch.setattr(replay, "_UNANSWERED", 2)
    bodies = ["x" * 2000, "x"] * 3
    requests = _file(tmp_path, *({"id": f"{n}", "ImageA": body, "Score": 1} for n, body in enumerate(bodies)))
    with HTTPServer(("127.0.0.1", 0), _Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        assert _shadow(f"127.0.0.1:{proxy.server_port}", requests, "--concurrency", "1") == 1
        proxy.shutdown()
    why = f"(http://127.0.0.1:{proxy.server_port} answers status 413 without a `Response` as documented)"
    assert capsys.readouterr().err.endswith(f"compareface: 3 requests got no answer {why}; run it again to ask them\n")
    assert _results(tmp_path).keys() == {"1", "3", "5"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not a JSON object as described"),
        ("[]", "not a JSON object"),
        (b'{"id": "\xff"}', "not a JSON object as described"),
        ('{"id": 5, "Score": 1}', "`id` is not a text"),
        ('{"Score": "1"}', _ODD),
        ('{"Score": NaN}', _ODD),
        ('{"Score": 1, "Error": "X"}', _ODD),
        ('{"Error": {"Message": "x"}, "Score": true}', _ODD),
    ],
)  # fmt: skip
def test_a_line_that_is_no_request_is_named(
    line: str | bytes, reason: str, here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"\n" + (line if isinstance(line, bytes) else line.encode()))
    assert _shadow(here, path) == 1
    assert capsys.readouterr().err == f"compareface: {path}, line 2: {reason}\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--against", "http://127.0.0.1:9"], "--against needs the other service's key in TENCENTCLOUD_SECRET_ID and"),
        (["--against", "iai.tencentcloudapi.com"], "iai.tencentcloudapi.com is not an http(s) address"),
        ([], "empty has neither `Score` nor `Error`: name the other service with --against"),
    ],
)
def test_what_is_missing_is_said(
    options: list[str],
    text: str,
    here: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("TENCENTCLOUD_SECRET_KEY")
    assert _shadow(here, _file(tmp_path, {"id": "empty"}), *options) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--rate", "0"], ["--concurrency", "-1"], ["--rate", "nan"]])
def test_a_pace_is_above_0(option: list[str], here: Server, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        _shadow(here, tmp_path / "requests.jsonl", *option)


@pytest.mark.parametrize("content", ['{"id": "a", "here": 1}\n', '{"id": "a", "Score": 1}', "\x89PNG", '{"key'])
def test_results_of_something_else_are_not_overwritten(
    content: str, here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(content)
    assert _shadow(here, _file(tmp_path)) == 1
    assert capsys.readouterr().err == f"compareface: {out}, line 1: not a line of results\n"
    assert out.read_text() == content


def test_results_are_for_their_owner_only(here: Server, tmp_path: Path) -> None:
    assert _shadow(here, _file(tmp_path)) == 0
    assert (tmp_path / "results.jsonl").stat().st_mode & 0o777 == 0o600


def test_two_requests_of_one_name_are_not_taken_for_one(
    here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [{**_REQUESTS["empty"], "id": "me", "QualityControl": level, "Score": 1} for level in (0, 1)]
    assert _shadow(here, _file(tmp_path, *named)) == 1
    assert capsys.readouterr().err == "compareface: two different requests have the `id` me\n"


def test_files_that_cannot_be_used_are_named(here: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "absent.jsonl"
    assert _shadow(here, absent) == 1
    assert capsys.readouterr().err == f"compareface: {absent}: No such file or directory\n"
    out = tmp_path / "nowhere/results.jsonl"
    assert main(["shadow", str(_file(tmp_path)), "--out", str(out)]) == 1
    assert str(out.parent) in capsys.readouterr().err
