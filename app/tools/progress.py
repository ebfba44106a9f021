"""Progress of long work on stderr: a bar on a terminal, else a line now and then."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_LINE_INTERVAL_S = 30.0
_LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} remaining"


def progress(
    items: Iterable[Any] | None = None, *, total: int, description: str, unit: str, initial: int = 0
) -> "tqdm[Any]":
    """Return ``items`` with a display of the rate and the remaining time; without them, call ``update``."""
    if sys.stderr.isatty():
        return tqdm(items, total=total, initial=initial, desc=description, unit=f" {unit}s")
    lines: tqdm[Any] = _Lines(
        items,
        total=total,
        initial=initial,
        desc=description,
        unit=f" {unit}s",
        bar_format=_LINE,
        mininterval=_LINE_INTERVAL_S,
        maxinterval=_LINE_INTERVAL_S,
    )
    return lines


class _Lines(tqdm):  # type: ignore[type-arg]
    """Prints each state as a line of its own, because a log file has no cursor."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line; ``close`` passes ``pos`` 0 and writes the end of its line itself."""
        if msg is None:
            self.fp.write(f"{self}{'' if pos == 0 else chr(10)}")
