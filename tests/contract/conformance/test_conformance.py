"""The vendor's clients, unmodified, against a live server: what each offers works, and errors arrive as its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from tests.contract.conformance.clients import CLIENTS
from tests.contract.conformance.jobs import Outcome
from tests.contract.conformance.scenarios import SCENARIOS, Scenario

ALL = os.environ.get("CONFORMANCE") == "all"


def _cases() -> Iterator[object]:
    """Every scenario for every client that runs, in one group for each client; else one that says why not."""
    for client in CLIENTS:
        runs = ALL or client.is_installed
        for scenario in SCENARIOS if runs else SCENARIOS[:1]:
            marks = [] if runs else [pytest.mark.skip(reason=f"{client.name}: run `make conformance`")]
            if scenario.name in client.defects:
                marks.append(
                    pytest.mark.xfail(raises=AssertionError, reason=f"{client.name}: {client.defects[scenario.name]}")
                )
            name = f"{client.name}: {scenario.name}" if runs else client.name
            yield pytest.param(client, scenario, marks=marks, id=name)


@pytest.mark.parametrize(("outcomes", "scenario"), list(_cases()), indirect=["outcomes"])
def test_what_a_client_offers_works(outcomes: Mapping[str, Outcome], scenario: Scenario) -> None:
    outcome = outcomes[scenario.name]
    if outcome.unsupported:
        pytest.skip(outcome.unsupported)
    scenario.expected.check(outcome)
    assert len(outcome.request_id) == 36
