"""The load generator of ``compareface bench load``, on a real server, and its statistics."""

import asyncio
from pathlib import Path

import pytest

from app.environment import Settings, SettingsError
from app.settings import AuthSettings
from app.tools.bench.load import (
    LoadResult,
    Target,
    TimedAnswer,
    http_request,
    prepare_target,
    run_closed_loop,
    run_open_loop,
)
from tests.support.server import Server

_OK, _REFUSED = "OK", "RequestLimitExceeded"


def test_answers_after_the_end_do_not_count() -> None:
    load = LoadResult((TimedAnswer(_OK, 0.5, 0.2), TimedAnswer(_OK, 1.5, 0.5), TimedAnswer(_OK, 1.9, 0.3)), 2.0)
    assert load.per_second() == 1.0
    assert load.skip(1.0).per_second() == 1.0
    assert load.skip(1.8).per_second() == pytest.approx(5.0)
    assert load.skip(1.8).codes == {_OK: 1}


def test_answers_are_counted_by_error_code(live_server: Server) -> None:
    target = Target(
        live_server.host, live_server.port, [http_request(live_server.endpoint, {"X-TC-Action": "CompareFace"}, b"{}")]
    )
    load = asyncio.run(run_closed_loop(target, 2, 0.3))
    assert set(load.codes) == {"MissingParameter"}
    assert load.codes["MissingParameter"] > 10


def test_an_unreachable_server_is_a_lost_connection() -> None:
    load = asyncio.run(run_open_loop(Target("127.0.0.1", 9, [b""]), rate=20, seconds=0.2))
    assert load.codes == {"connection lost": 4}


async def test_open_loop_latency_counts_from_the_due_time() -> None:
    """The server delays the first response of each connection."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        load = await run_open_loop(Target("127.0.0.1", port, [http_request("host", {}, b"")]), rate=50, seconds=0.2)
    assert load.codes == {_OK: 10}
    assert all(200 <= latency < 1000 for latency in load.milliseconds(0.0, 0.5, 1.0))


def test_quantiles_and_rates_cover_one_code() -> None:
    load = LoadResult((TimedAnswer(_OK, 0.0, 0.1), TimedAnswer(_REFUSED, 1.0, 0.001), TimedAnswer(_OK, 3.0, 0.3)), 4.0)
    assert load.per_second() == 0.5
    assert load.milliseconds(0.5) == [200.0]
    assert load.milliseconds(0.5, code=_REFUSED) == [1.0]
    late = load.skip(2.0)
    assert (late.codes, late.seconds, late.per_second()) == ({_OK: 1}, 2.0, 0.5)


def test_a_summary_without_a_success_has_no_latencies() -> None:
    load = LoadResult((TimedAnswer(_REFUSED, 0.0, 0.1),), 1.0)
    assert load.summary() == {
        "answers": {_REFUSED: 1}, "accepted_per_second": 0.0,
        "median_ms": None, "p90_ms": None, "p99_ms": None, "max_ms": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [("http://127.0.0.1:9", "no server at 127.0.0.1:9"), ("https://127.0.0.1:9", "is not an http URL")],
)
def test_an_endpoint_that_cannot_be_measured_is_refused(endpoint: str, message: str) -> None:
    settings = Settings(auth=AuthSettings.model_validate({"keys": "a:b"}))
    with pytest.raises(SettingsError, match=message):
        prepare_target(settings, endpoint, [Path(__file__)])
