"""A request to a live server, where possible, causes each error code."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain import CompareOptions, Comparison, ImageRef
from app.errors import ErrorCode
from app.ops.stage_timer import StageTimer
from tests.contract.catalogue import CASES, MESSAGES, OTHER_CAUSES, VALID_COMPARE, Case, rows, send
from tests.support.fakes import COMMON, FakeEngine, FakeService, client_of, code_of
from tests.support.server import Server, running_server


def test_every_error_has_the_recorded_messages(live_server: Server) -> None:
    """``python -m tests.contract.catalogue`` writes them."""
    assert len(CASES) >= 30
    assert list(rows(live_server)) == MESSAGES.read_text(encoding="utf-8").splitlines()


def test_the_valid_request_succeeds(live_server: Server) -> None:
    assert code_of(send(live_server)) == "OK"


@pytest.fixture(scope="module")
def limited_server() -> Iterator[Server]:
    """A server for one request at a time, with a deadline of two seconds."""
    limits = {"MAX_IN_FLIGHT": "1", "MAX_WAIT_S": "0.1", "DEADLINE_S": "2"}
    settings = {f"COMPAREFACE_LIMITS__{name}": value for name, value in limits.items()}
    with running_server({"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", **settings}) as server:
        yield server


def test_an_excess_request_and_a_slow_request_get_their_codes(limited_server: Server, images_url: str) -> None:
    stalled = Case(ErrorCode.REQUEST_TIMEOUT, "", {**VALID_COMPARE, "UrlA": f"{images_url}/stall"})
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(code_of(response) for response in pool.map(lambda _: send(limited_server, stalled), range(2)))
    assert codes == [ErrorCode.REQUEST_TIMEOUT.value, ErrorCode.REQUEST_LIMIT_EXCEEDED.value]
    assert code_of(send(limited_server)) == "OK"


async def _crash(a: ImageRef, b: ImageRef, options: CompareOptions, timer: StageTimer) -> Comparison:
    raise RuntimeError("failed")


async def test_an_unexpected_exception_is_a_server_error() -> None:
    async with client_of(engine=FakeEngine(FakeService(_crash))) as client:
        assert code_of(await client.post("/", json=VALID_COMPARE, headers=COMMON)) == ErrorCode.SERVER_ERROR.value


def test_every_code_has_a_case() -> None:
    assert {case.code for case in CASES} | OTHER_CAUSES.keys() == set(ErrorCode)
