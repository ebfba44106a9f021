"""Every attack of the table gets its exact response from a real server, which logs no error and keeps working."""

import json
from collections.abc import Iterator

import pytest

from tests.contract.attacks import ATTACKS, Attack
from tests.contract.catalogue import send
from tests.contract.exchange import Exchange
from tests.support.fakes import code_of
from tests.support.server import Server, running_server
from tests.support.tls import TlsFiles


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


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.description)
def test_the_response_to_the_attack_is_the_listed_one(attacked: Server, attack: Attack) -> None:
    with Exchange(attacked) as exchange:
        exchange.play(attack.script(attacked))
        assert [exchange.response() for _ in attack.responses] == list(attack.responses)
        if attack.stays_open:
            assert exchange.is_open()
        else:
            assert exchange.response() == ""
