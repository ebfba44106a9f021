"""Replay of real requests to two real services, the second in the role of the cloud."""

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

_CLOUD_ID, _CLOUD_KEY = "AKIDcloud", "cloud-secret-key"
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
    "another person": {"ImageA": _FACE, "ImageB": _text(jpeg(cast()[:600, :500]))},
    "no face": {"ImageA": _text(jpeg(np.full((128, 128, 3), 128, np.uint8))), "ImageB": _FACE},
    "broken": {"ImageA": _FACE, "ImageB": _FACE[: len(_FACE) // 2]},
    "empty": {"ImageA": _FACE, "QualityControl": 0},
}
_CODES = {
    "no face": "InvalidParameterValue.NoFaceInPhoto",
    "broken": "FailedOperation.ImageDecodeFailed",
    "empty": "InvalidParameterValue.ImageEmpty",
}


@pytest.fixture(scope="module")
def local(live_server: Server) -> Server:
    return live_server


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the same models with scores of `FaceModelVersion` 2.0 (thresholds 70, 80 and 90)."""
    keys = tmp_path_factory.mktemp("remote") / "keys.toml"
    keys.write_text(_CALLERS)
    with running_server({"COMPAREFACE_AUTH__KEYS_FILE": str(keys)}) as server:
        yield server


@pytest.fixture(autouse=True)
def _keys(local: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{local.secret_id}:{local.secret_key}")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", _CLOUD_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", _CLOUD_KEY)


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def _named(**added: object) -> list[dict[str, object]]:
    return [{"id": name, **body, **added} for name, body in _REQUESTS.items()]


def _shadow(local: Server | str, requests: Path, *options: str) -> int:
    address = local if isinstance(local, str) else local.endpoint
    out = str(requests.with_name("results.jsonl"))
    return main(["shadow", str(requests), "--out", out, "--endpoint", f"http://{address}", "--rate", "100", *options])


def _results(folder: Path) -> dict[str, Any]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    results = {line["id"]: line for line in map(json.loads, lines)}
    assert len(results) == len(lines)
    return results


def test_two_services_agree_at_their_own_thresholds(
    local: Server, remote: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--against", f"http://{remote.endpoint}", "--threshold-remote", "80", "--json"]
    assert _shadow(local, _file(tmp_path, *_named()), *options) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["requests"], summary["same_decision"]["value"], summary["same_code"]["value"]) == (6, 1.0, 1.0)
    assert summary["same_decision_of_scored"]["total"] == 3
    assert summary["decisions"] == {"accepted_by_both": 2, "only_local": 0, "only_remote": 0, "by_neither": 4}
    counts = {row["local"]: row["requests"] for row in summary["codes"]}
    assert counts == {OK: 3, **dict.fromkeys(_CODES.values(), 1)}
    assert summary["correlation"]["spearman"] == pytest.approx(1)
    assert summary["local"]["median_ms"] > 0 < summary["remote"]["median_ms"]
    results = _results(tmp_path)
    assert {name: line["remote"]["code"] for name, line in results.items() if name in _CODES} == _CODES
    assert results["another shot"]["local"]["score"] < results["another shot"]["remote"]["score"] < 100


def test_results_contain_no_images_and_no_keys(local: Server, remote: Server, tmp_path: Path) -> None:
    assert _shadow(local, _file(tmp_path, *_named()), "--against", f"http://{remote.endpoint}") == 0
    line = _results(tmp_path)["itself"]
    assert line.keys() == {"id", "local", "remote"}
    assert line["local"].keys() == line["remote"].keys() == {"code", "score", "ms", "accepted"}
    text = (tmp_path / "results.jsonl").read_text()
    secrets = (_FACE[:40], local.secret_key, _CLOUD_KEY, "ImageA", "Signature")
    assert [secret for secret in secrets if secret in text] == []


def test_recorded_answers_are_not_requested_again(
    local: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _named()
    answers: list[dict[str, object]] = [
        {"Score": 100}, {"Score": 12.5}, {"Score": 3.0}, {"Error": _CODES["no face"]},
        {"Error": {"Code": "X", "Message": "y"}}, {"Error": "X"},
    ]  # fmt: skip
    requests = _file(tmp_path, *({**line, **answer} for line, answer in zip(lines, answers, strict=True)))
    assert _shadow(local, requests) == 0
    text = capsys.readouterr().out
    assert "same decision             83.33 % [43.65, 96.99] of 6" in text
    assert "accepted by both 1, only local 1, only remote 0, by neither 4" in text
    results = _results(tmp_path)
    assert results["another shot"]["remote"] == {"code": OK, "score": 12.5, "ms": None, "accepted": False}
    assert results["another shot"]["local"]["accepted"]
    assert results["broken"]["remote"]["code"] == results["empty"]["remote"]["code"] == "X"


def test_an_interrupted_run_continues_and_applies_the_new_thresholds(
    local: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = _file(tmp_path, *_named(Score=60))
    assert _shadow(local, requests) == 0
    complete, out = _results(tmp_path), tmp_path / "results.jsonl"
    out.write_bytes(b"\n".join(out.read_bytes().split(b"\n")[:4]) + b'\n{"id": "cut o')
    assert _shadow(local, requests) == 0
    assert _results(tmp_path).keys() == complete.keys()
    capsys.readouterr()
    # All requests have results, so no server is needed.
    for option in ("--threshold-remote", "--threshold"):  # by default, the threshold is that of both services
        assert _shadow(f"127.0.0.1:{free_port()}", requests, option, "61", "--json") == 0
        summary = json.loads(capsys.readouterr().out)
        assert summary["thresholds"] == {"local": 50 if option == "--threshold-remote" else 61, "remote": 61}
        assert summary["decisions"]["only_remote"] == 0
        assert [line["remote"]["accepted"] for line in _results(tmp_path).values()] == [False] * 6


def test_a_run_counts_its_own_requests_and_those_with_earlier_results(
    local: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *others, shared, new = _named(Score=60)
    assert _shadow(local, _file(tmp_path, *others, shared)) == 0
    assert "resumed                   0\n" in capsys.readouterr().out
    assert _shadow(local, _file(tmp_path, shared, new, shared), "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["requests"], summary["resumed"]) == (2, 1)
    assert {row["local"] for row in summary["codes"]} == {_CODES["broken"], _CODES["empty"]}
    assert len(_results(tmp_path)) == 6, "results of other requests stay in the file"


def test_rate_limited_requests_are_retried(remote: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "AKIDslow:slow")
    requests = _file(tmp_path, *_named(Score=1)[-3:])
    assert _shadow(remote, requests, "--concurrency", "2") == 0
    assert {name: line["local"]["code"] for name, line in _results(tmp_path).items()} == _CODES


def test_a_refused_key_ends_the_run(
    local: Server, remote: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "another")
    assert _shadow(local, _file(tmp_path, *_named()), "--against", f"http://{remote.endpoint}") == 1
    assert capsys.readouterr().err == f"compareface: http://{remote.endpoint} answers AuthFailure.SignatureFailure\n"
    assert _results(tmp_path) == {}


def test_failed_requests_are_sent_by_the_next_run(
    local: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_RETRY_DELAYS_S", (0.1,))
    requests = _file(tmp_path, *_named(Score=1)[:2])
    address = f"127.0.0.1:{free_port()}"
    assert _shadow(address, requests) == 1
    reason = f"(http://{address}: All connection attempts failed)"
    assert capsys.readouterr().err.endswith(
        f"compareface: 2 requests got no response {reason}; run the same command again to send them\n"
    )
    assert _shadow(local, requests) == 0
    assert len(_results(tmp_path)) == 2


def test_many_failed_requests_in_a_row_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_RETRY_DELAYS_S", (0.1,))
    requests = _file(tmp_path, *({"id": f"{n}", "Score": 1} for n in range(1000)))
    address = f"127.0.0.1:{free_port()}"
    assert _shadow(address, requests, "--concurrency", "20") == 1
    reason = f"(http://{address}: All connection attempts failed)"
    message = f"compareface: 20 requests in a row got no response {reason}; results are kept\n"
    assert capsys.readouterr().err == message


class _Proxy(BaseHTTPRequestHandler):
    """Rejects large bodies as nginx does and answers all other requests."""

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.rfile.read(size)
        is_large = size > 1000
        self.send_response(413 if is_large else 200)
        self.end_headers()
        self.wfile.write(b"<html>" if is_large else b'{"Response": {"Error": {"Code": "X"}}}')

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


def test_failed_requests_among_successful_ones_do_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "_RETRY_DELAYS_S", ())
    monkeypatch.setattr(replay, "_MAX_CONSECUTIVE_FAILURES", 2)
    bodies = ["x" * 2000, "x"] * 3
    requests = _file(tmp_path, *({"id": f"{n}", "ImageA": body, "Score": 1} for n, body in enumerate(bodies)))
    with HTTPServer(("127.0.0.1", 0), _Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        assert _shadow(f"127.0.0.1:{proxy.server_port}", requests, "--concurrency", "1") == 1
        proxy.shutdown()
    reason = f"(http://127.0.0.1:{proxy.server_port} answers status 413 without a valid `Response`)"
    assert capsys.readouterr().err.endswith(
        f"compareface: 3 requests got no response {reason}; run the same command again to send them\n"
    )
    assert _results(tmp_path).keys() == {"1", "3", "5"}
