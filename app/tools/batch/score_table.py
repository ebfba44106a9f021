"""Read a table of pairs and write the same table with scores, row by row in bounded memory.

Input: a CSV file in UTF-8 whose columns ``a`` and ``b`` name images; other columns are copied. Output: CSV or Parquet
with three more columns: ``score`` (empty on an error), ``code`` (the error code, empty on success) and ``image`` (the
image with the error: A or B; A if both have one).
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from app.ops.process import install_command
from app.scoring.scale import Scale
from app.scoring.similarity import cosine
from app.tools.batch.checkpoint import BatchError, Checkpoint

_ADDED_COLUMNS = ("score", "code", "image")
_ROW_GROUP_SIZE = 65_536

Row: TypeAlias = Mapping[str, Any]
Writer: TypeAlias = Callable[[Path, list[str], Iterable[Row]], None]


def columns(file: Path) -> list[str]:
    """Return the column names; raise :class:`BatchError` if they are not those of a table of pairs."""
    _, names = next(_lines(file), (1, []))
    if not {"a", "b"}.issubset(names):
        raise BatchError(f"{file}: the first line must name the columns, including `a` and `b`")
    if len(set(names)) < len(names) or set(_ADDED_COLUMNS).intersection(names):
        raise BatchError(f"{file}: column names must be unique and other than {', '.join(_ADDED_COLUMNS)}")
    return names


def rows(file: Path) -> Iterator[dict[str, str]]:
    """Yield the rows; raise :class:`BatchError` for a row whose number of values is not that of the columns."""
    names = columns(file)
    for number, values in islice(_lines(file), 1, None):
        if len(values) == len(names):
            yield dict(zip(names, values, strict=True))
        elif values:  # an empty line has none
            raise BatchError(f"{file}, line {number}: {len(values)} values for {len(names)} columns")


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the values of each record; raise :class:`BatchError` if a record is malformed."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.reader(stream, strict=True)
        try:
            for values in table:
                yield table.line_num, values
        except (csv.Error, UnicodeDecodeError) as error:
            raise BatchError(f"{file}, line {max(1, table.line_num)}: {error}") from error


def scored(checkpoint: Checkpoint, scale: Scale, pairs: Iterable[Mapping[str, str]]) -> Iterator[Row]:
    """Yield each row with its score or its error code."""
    for row in pairs:
        match checkpoint.outcome(row["a"]), checkpoint.outcome(row["b"]):
            case StrEnum() as code, _:
                yield {**row, "score": None, "code": code.value, "image": "A"}
            case _, StrEnum() as code:
                yield {**row, "score": None, "code": code.value, "image": "B"}
            case a, b:
                yield {**row, "score": scale.score(cosine(a, b)), "code": "", "image": ""}


def writer(out: Path) -> Writer:
    """Return the function that writes the format of the suffix of ``out``; raise :class:`BatchError` if none does."""
    if out.suffix == ".csv":
        return _write_csv
    if out.suffix != ".parquet":
        raise BatchError(f"{out}: the file name must end in .csv or .parquet")
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an optional extra
    except ImportError as error:
        raise BatchError(f"Parquet needs the extra `batch`: run `{install_command('batch')}`") from error
    return _write_parquet


def _write_csv(path: Path, names: list[str], table: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        target = csv.DictWriter(stream, [*names, *_ADDED_COLUMNS], lineterminator="\n")
        target.writeheader()
        target.writerows(table)


def _write_parquet(path: Path, names: list[str], table: Iterable[Row]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an optional extra
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    fields = [(name, pa.float64() if name == "score" else pa.string()) for name in (*names, *_ADDED_COLUMNS)]
    schema = pa.schema(fields)
    remaining = iter(table)
    with parquet.ParquetWriter(path, schema) as target:
        while group := list(islice(remaining, _ROW_GROUP_SIZE)):
            target.write_table(pa.Table.from_pylist(group, schema=schema))
