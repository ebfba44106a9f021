"""Every attack of the table gets its exact response from a real server, which logs no error and keeps working."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.contract.attacks import ATTACKS, Attack
from tests.contract.catalogue import send
from tests.contract.exchange import Exchange
from tests.support.fakes import code_of
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles

_CONCURRENCY = 16
"""Attacks at the same time, because many of them wait for a timeout."""


@pytest.fixture(scope="module", params=["http", "https"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a short header timeout; the fixture checks its log at the end."""
    folder = tmp_path_factory.mktemp("attacked")
    log = folder / "log"
    tls = TlsFiles(folder) if request.param == "https" else None
    with running_server(
        {"COMPAREFACE_LIMITS__HEADER_TIMEOUT_S": "2", "COMPAREFACE_LOG__LEVEL": "info"}, log=log, tls=tls
    ) as server:
        yield server
        assert code_of(send(server)) == "OK"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if "exception" in line or line["level"] == "error"] == []
    assert not [line for line in lines if line.get("code") == "FailedOperation.ServerError"]


def test_the_table_is_complete() -> None:
    assert len(ATTACKS) >= 80


@pytest.fixture(scope="module")
def responses(attacked: Server) -> Iterator[Mapping[str, Future[list[str]]]]:
    """The responses to each attack, by its description. The slow attacks, which are last, begin first."""
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        yield {attack.description: pool.submit(_responses, attacked, attack) for attack in reversed(ATTACKS)}


def _responses(server: Server, attack: Attack) -> list[str]:
    """Return the responses, and whether the connection is open or closed afterwards."""
    with Exchange(server) as exchange:
        exchange.play(attack.script(server))
        responses = [exchange.response() for _ in attack.responses]
        if not attack.stays_open:
            return [*responses, exchange.response() or "closed"]
        return [*responses, "open" if exchange.is_open() else "closed"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.description)
def test_the_response_to_the_attack_is_the_listed_one(
    responses: Mapping[str, Future[list[str]]], attack: Attack
) -> None:
    end = "open" if attack.stays_open else "closed"
    assert responses[attack.description].result() == [*attack.responses, end]
