"""The instruments: stages of a real picture, load on a real service, and the arithmetic of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.tools.bench.load import Answer, Load, Target, arrive, http_request, sustain
from tests.support.images import astronaut, jpeg, shrunk
from tests.support.server import Server, running_server

_OK, _REFUSED = "OK", "RequestLimitExceeded"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(shrunk(astronaut(), 256)))
    return path


@pytest.fixture
def key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", f"{server.secret_id}:{server.secret_key}")


def test_stages_add_up_to_the_whole(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "stages", str(photo), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pack"] == "open"
    row = told["milliseconds"][str(photo)]
    parts = sum(row[name] for name in ("decode", "detect", "landmarks", "align", "embed"))
    assert 0.5 * row["whole"] < parts < 2 * row["whole"]
    assert 0 < row["networks"] < 1.5 * row["whole"]


def test_stages_are_a_table(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "stages", str(photo)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        "decode", "detect", "landmarks", "align", "embed", "whole", "networks", "ratio",
    ]  # fmt: skip


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("how", [["--concurrency", "2"], ["--rate", "5"]])
def test_a_service_under_load_is_told_of(
    server: Server, photo: Path, how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"http://{server.endpoint}"
    command = ["bench", "load", str(photo), "--endpoint", endpoint, "--seconds", "1", "--json", *how]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["answers"]) == {_OK}
    assert told["answers"][_OK] >= 3
    assert 0 < told["median_ms"] <= told["p99_ms"] <= told["max_ms"]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("seconds", "told"), [("0.2", "nobody answers at 127.0.0.1:9"), ("0", "--seconds and --rate must be")]
)
def test_what_cannot_be_measured_is_told(
    photo: Path, seconds: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "load", str(photo), "--endpoint", "http://127.0.0.1:9", "--seconds", seconds]) == 1
    assert told in capsys.readouterr().err


def test_what_is_answered_after_the_load_does_not_count() -> None:
    load = Load((Answer(_OK, 0.5, 0.2), Answer(_OK, 1.5, 0.5), Answer(_OK, 1.9, 0.3)), 2.0)
    assert load.per_second() == 1.0
    assert load.after(1.0).per_second() == 1.0
    assert load.after(1.8).per_second() == pytest.approx(5.0)
    assert load.after(1.8).codes == {_OK: 1}


def test_errors_are_counted_by_their_code(server: Server) -> None:
    target = Target(server.host, server.port, [http_request(server.endpoint, {"X-TC-Action": "CompareFace"}, b"{}")])
    load = asyncio.run(sustain(target, 2, 0.3))
    assert set(load.codes) == {"MissingParameter"}
    assert load.codes["MissingParameter"] > 10


def test_nobody_there_is_a_lost_connection() -> None:
    load = asyncio.run(arrive(Target("127.0.0.1", 9, [b""]), rate=20, seconds=0.2))
    assert load.codes == {"connection lost": 4}


async def test_time_counts_from_when_a_request_was_due() -> None:
    """A server that holds every connection's first answer back shows in the times of an open loop."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        load = await arrive(Target("127.0.0.1", port, [http_request("here", {}, b"")]), rate=50, seconds=0.2)
    assert load.codes == {_OK: 10}
    assert all(200 <= taken < 1000 for taken in load.milliseconds(0.0, 0.5, 1.0))


def test_quantiles_and_rates_are_of_one_code_each() -> None:
    load = Load((Answer(_OK, 0.0, 0.1), Answer(_REFUSED, 1.0, 0.001), Answer(_OK, 3.0, 0.3)), 4.0)
    assert load.per_second() == 0.5
    assert load.milliseconds(0.5) == [200.0]
    assert load.milliseconds(0.5, code=_REFUSED) == [1.0]
    late = load.after(2.0)
    assert (late.codes, late.seconds, late.per_second()) == ({_OK: 1}, 2.0, 0.5)
