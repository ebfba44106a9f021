"""Every error code, each by a request to a live server where one can; the table of app/README.md is what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.domain import CompareOptions, Comparison, ImageRef
from app.errors import ErrorCode
from app.ops.stage_timer import StageTimer
from tests.contract.catalogue import CASES, ELSEWHERE, GOOD, Case, rows, send
from tests.support.fakes import COMMON, FakeEngine, FakeService, client_of, code_of
from tests.support.server import Server, running_server

_ARCHITECTURE = Path(__file__).resolve().parents[2] / "app" / "README.md"


def test_the_table_of_the_documentation_is_what_is_answered(live: Server) -> None:
    """``python -m tests.contract.catalogue`` prints it anew."""
    documented = [line for line in _ARCHITECTURE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(CASES) >= 30
    assert [row for row in rows(live) if row not in documented] == []


def test_the_request_all_others_are_made_from_succeeds(live: Server) -> None:
    assert code_of(send(live)) == "OK"


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    """Takes one request at a time, for two seconds."""
    limits = {"MAX_IN_FLIGHT": "1", "MAX_WAIT_S": "0.1", "DEADLINE_S": "2"}
    settings = {f"COMPAREFACE_LIMITS__{name}": value for name, value in limits.items()}
    with running_server({"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", **settings}) as server:
        yield server


def test_one_request_too_many_and_one_too_slow_are_told_so(impatient: Server, pictures: str) -> None:
    stalled = Case(ErrorCode.REQUEST_TIMEOUT, "", {**GOOD, "UrlA": f"{pictures}/stall"})
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(code_of(reply) for reply in pool.map(lambda _: send(impatient, stalled), range(2)))
    assert codes == [ErrorCode.REQUEST_TIMEOUT.value, ErrorCode.REQUEST_LIMIT_EXCEEDED.value]
    assert code_of(send(impatient)) == "OK"


async def _crash(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    raise RuntimeError("a defect")


async def test_a_defect_is_a_server_error() -> None:
    async with client_of(engine=FakeEngine(FakeService(_crash))) as client:
        assert code_of(await client.post("/", json=GOOD, headers=COMMON)) == ErrorCode.SERVER_ERROR.value


def test_no_code_is_left_out() -> None:
    assert {case.code for case in CASES} | ELSEWHERE.keys() == set(ErrorCode)
