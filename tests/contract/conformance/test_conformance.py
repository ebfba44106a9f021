"""The vendor's unmodified clients against a live server: all their options work, and errors are their exceptions."""

import os
from collections.abc import Iterator, Mapping

import pytest

from tests.contract.conformance.clients import CLIENTS
from tests.contract.conformance.jobs import Outcome
from tests.contract.conformance.scenarios import SCENARIOS, Scenario

ALL = os.environ.get("CONFORMANCE") == "all"


def _cases() -> Iterator[object]:
    """Yield every scenario for every client that runs, and one skipped case for each other client."""
    for client in CLIENTS:
        is_run = ALL or client.is_installed
        for scenario in SCENARIOS if is_run else SCENARIOS[:1]:
            marks = [] if is_run else [pytest.mark.skip(reason=f"{client.name}: run `make conformance`")]
            if scenario.name in client.defects:
                marks.append(
                    pytest.mark.xfail(raises=AssertionError, reason=f"{client.name}: {client.defects[scenario.name]}")
                )
            name = f"{client.name}: {scenario.name}" if is_run else client.name
            yield pytest.param(client, scenario, marks=marks, id=name)


@pytest.mark.parametrize(("outcomes", "scenario"), list(_cases()), indirect=["outcomes"])
def test_the_client_gets_the_expected_result(outcomes: Mapping[str, Outcome], scenario: Scenario) -> None:
    outcome = outcomes[scenario.name]
    if outcome.unsupported:
        pytest.skip(outcome.unsupported)
    scenario.expected.check(outcome)
    assert len(outcome.request_id) == 36
