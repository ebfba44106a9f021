"""The matrix: one row for every client, one column for every group of scenarios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from tests.contract.conformance.clients import Client
from tests.contract.conformance.scenarios import SCENARIOS


class Verdict(Enum):
    """Of one scenario with one client."""

    OK = "ok"
    FAIL = "FAIL"
    NOT_OFFERED = "–"
    DEFECT = "defect"
    SKIPPED = "skipped"


LEGEND = (
    "ok: passes; ok 2/3: two scenarios pass, the client offers no way to ask for the third; –: the client offers no "
    "such thing; defect: the client spoils it; skipped: not run here."
)


class Row(NamedTuple):
    """A client and what came of its scenarios, by their names."""

    client: Client
    verdicts: Mapping[str, Verdict]


def table(rows: Sequence[Row]) -> str:
    """Return the matrix as a Markdown table, with its legend and who is absent from it."""
    here = [row for row in rows if set(row.verdicts.values()) != {Verdict.SKIPPED}]
    absent = [row.client.name for row in rows if row not in here]
    groups = list(dict.fromkeys(scenario.group for scenario in SCENARIOS))
    lines = [["client", "version", *groups], ["---"] * (2 + len(groups))]
    lines += [[row.client.name, row.client.version(), *(_cell(row, group) for group in groups)] for row in here]
    defects = [f"{row.client.name}, {name}: {text}." for row in here for name, text in row.client.defects.items()]
    notes = [LEGEND, *defects, *([f"Skipped: {', '.join(absent)}."] if absent else [])]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *notes])


def _cell(row: Row, group: str) -> str:
    names = [scenario.name for scenario in SCENARIOS if scenario.group == group]
    return _summary([row.verdicts.get(name, Verdict.SKIPPED) for name in names])


def _summary(verdicts: Iterable[Verdict]) -> str:
    verdicts = list(verdicts)
    for alone in (Verdict.FAIL, Verdict.SKIPPED, Verdict.DEFECT):
        if alone in verdicts:
            return str(alone.value)
    passed = verdicts.count(Verdict.OK)
    if passed == 0:
        return str(Verdict.NOT_OFFERED.value)
    return "ok" if passed == len(verdicts) else f"ok {passed}/{len(verdicts)}"
