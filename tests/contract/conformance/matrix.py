"""The matrix of verdicts: a row per client, a column per group of scenarios."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from tests.contract.conformance.clients import Client
from tests.contract.conformance.scenarios import SCENARIOS


class Verdict(Enum):
    """The verdict on one scenario with one client."""

    OK = "ok"
    FAIL = "FAIL"
    NOT_OFFERED = "–"
    DEFECT = "defect"
    SKIPPED = "skipped"


LEGEND = (
    "ok: passes; ok 2/3: two scenarios pass, the client has no option for the third; –: the client has no such option; "
    "defect: fails because of a defect of the client; skipped: not run."
)


class Row(NamedTuple):
    """A client and its verdicts by the names of the scenarios."""

    client: Client
    verdicts: Mapping[str, Verdict]


def table(rows: Sequence[Row]) -> str:
    """Return the matrix as a Markdown table, with a legend and the names of skipped clients."""
    completed = [row for row in rows if set(row.verdicts.values()) != {Verdict.SKIPPED}]
    skipped = [row.client.name for row in rows if row not in completed]
    groups = list(dict.fromkeys(scenario.group for scenario in SCENARIOS))
    lines = [["client", "version", *groups], ["---"] * (2 + len(groups))]
    lines += [[row.client.name, row.client.version(), *(_cell(row, group) for group in groups)] for row in completed]
    defects = [f"{row.client.name}, {name}: {text}." for row in completed for name, text in row.client.defects.items()]
    notes = [LEGEND, *defects, *([f"Skipped: {', '.join(skipped)}."] if skipped else [])]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *notes])


def _cell(row: Row, group: str) -> str:
    names = [scenario.name for scenario in SCENARIOS if scenario.group == group]
    return _summary([row.verdicts.get(name, Verdict.SKIPPED) for name in names])


def _summary(verdicts: Iterable[Verdict]) -> str:
    verdicts = list(verdicts)
    for verdict in (Verdict.FAIL, Verdict.SKIPPED, Verdict.DEFECT):
        if verdict in verdicts:
            return str(verdict.value)
    passed = verdicts.count(Verdict.OK)
    if passed == 0:
        return str(Verdict.NOT_OFFERED.value)
    return "ok" if passed == len(verdicts) else f"ok {passed}/{len(verdicts)}"
