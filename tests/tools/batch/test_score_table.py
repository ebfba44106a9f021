"""Tables of pairs and of scores."""

from pathlib import Path

import pytest

from app.tools.batch.checkpoint import BatchError
from app.tools.batch.score_table import columns, rows, writer


def test_rows_are_read_without_empty_lines_and_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text('\ufeffa,b,id\n1.jpg,2.jpg,"x, y"\n\n3.jpg,,\n', encoding="utf-8")
    assert columns(file) == ["a", "b", "id"]
    assert list(rows(file)) == [{"a": "1.jpg", "b": "2.jpg", "id": "x, y"}, {"a": "3.jpg", "b": "", "id": ""}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n1,2\n", "including `a` and `b`"),
        (b"a,b,score\n1,2,3\n", "column names must be unique"),
        (b"a,b\n1,2,3\n", "line 2: 3 values for 2 columns"),
        (b'a,b\n"1,2\n', "line 2: unexpected end of data"),
        (b"", "including `a` and `b`"),
        (b"\na,b\n", "including `a` and `b`"),
        (b"a,b\xff\n", "line 1: 'utf-8' codec"),
    ],
)
def test_an_invalid_table_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_bytes(content)
    with pytest.raises(BatchError) as caught:
        list(rows(pairs))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scores", "scores.xlsx"])
def test_an_unknown_output_format_is_refused(name: str) -> None:
    with pytest.raises(BatchError, match=r"must end in \.csv or \.parquet"):
        writer(Path(name))
