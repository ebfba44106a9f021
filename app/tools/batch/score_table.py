"""A table of pairs -> the same table with scores, row by row: millions of rows pass through a few megabytes.

In: a CSV file in UTF-8 whose columns ``a`` and ``b`` name pictures; all others are passed on. Out: CSV or Parquet, with
three columns more: ``score`` (empty where there is none), ``code`` (why there is none, else empty) and ``image``
(which picture is to blame; where both are, A).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from app.errors import ErrorCode
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.tools.batch.checkpoint import BatchError, Checkpoint

_ADDED = ("score", "code", "image")
_ROWS_TOGETHER = 65_536
"""Rows of a Parquet row group."""

Row: TypeAlias = Mapping[str, Any]
Writer: TypeAlias = Callable[[Path, list[str], Iterable[Row]], None]


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def columns(file: Path) -> list[str]:
    """Return the names of the columns; raise :class:`BatchError` where pairs cannot be read from them."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        try:
            names = next(csv.reader(stream, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise BatchError(f"{file}, line 1: {error}") from error
    if not {"a", "b"}.issubset(names):
        raise BatchError(f"{file}: the first line names the columns, and `a` and `b` must be among them")
    if len(set(names)) < len(names) or set(_ADDED).intersection(names):
        raise BatchError(f"{file}: every column needs a name of its own, other than {', '.join(_ADDED)}")
    return names


def rows(file: Path) -> Iterator[dict[str, str]]:
    """Yield the rows; raise :class:`BatchError` for one that has not a value for each column."""
    names = columns(file)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.reader(stream, strict=True)
        next(table)
        try:
            for values in table:
                if not values:
                    continue  # an empty line
                if len(values) != len(names):
                    raise BatchError(f"{file}, line {table.line_num}: {len(values)} values for {len(names)} columns")
                yield dict(zip(names, values, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise BatchError(f"{file}, line {table.line_num}: {error}") from error


def scored(ledger: Checkpoint, scale: Scale, pairs: Iterable[Mapping[str, str]]) -> Iterator[Row]:
    """Yield each row with its score, or with why it has none."""
    for row in pairs:
        a, b = ledger.outcome(row["a"]), ledger.outcome(row["b"])
        if isinstance(a, ErrorCode):
            yield {**row, "score": None, "code": a.value, "image": "A"}
        elif isinstance(b, ErrorCode):
            yield {**row, "score": None, "code": b.value, "image": "B"}
        else:
            yield {**row, "score": scale.score(cosine(a, b)), "code": "", "image": ""}


def writer(out: Path) -> Writer:
    """Return what writes a file of this suffix; raise :class:`BatchError` where nothing does."""
    if out.suffix == ".csv":
        return _write_csv
    if out.suffix != ".parquet":
        raise BatchError(f"{out}: scores are written as .csv or .parquet")
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise BatchError("Parquet takes the extra `batch`: pip install '.[batch]' in the checkout") from error
    return _write_parquet


def _write_csv(path: Path, names: list[str], table: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        target = csv.DictWriter(stream, [*names, *_ADDED], lineterminator="\n")
        target.writeheader()
        target.writerows(table)


def _write_parquet(path: Path, names: list[str], table: Iterable[Row]) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    kinds = [(name, pa.string()) for name in names] + [(name, pa.string()) for name in _ADDED]
    schema = pa.schema([(name, pa.float64() if name == "score" else kind) for name, kind in kinds])
    rest = iter(table)
    with parquet.ParquetWriter(path, schema) as target:
        while group := list(islice(rest, _ROWS_TOGETHER)):
            target.write_table(pa.Table.from_pylist(group, schema=schema))
